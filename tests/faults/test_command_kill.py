"""kill -9 of the real server while commands are in each of their states: what devices saw, what the table says.

Never twice, never late; what was lost on the way shows as delivered and unanswered.
"""

import json
import logging
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests import migrated
from tests.faults.stack import SETTINGS, manage
from tests.servers import Site

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]
log = logging.getLogger(__name__)
ROUNDS = max(1, int(os.environ.get("FAULT_KILLS", "4")) // 4)
STATES = ("queued", "delivered", "acknowledged", "expiring")
FLYING = [f"flying-{number}" for number in range(8)]
"""Devices that ask while the server dies, one after the other."""
STAGGERED_S = 0.02
SHORTEST_TTL_S = 10


class Cloud:
    """The site over HTTP, as its administrator or as a device."""

    def __init__(self, site: Site) -> None:
        self.site = site
        shown = re.search(r"Log in as\s+(\S+)\s+One-time password\s+(\S+)", site.log)
        assert shown
        self.account = {"email": shown[1], "password": shown[2]}
        self.access = ""

    def ask(self, path: str, token: str, body: Any = None) -> tuple[int, Any]:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} if token else {}
        headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self.site.url}/api/v1{path}", content, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read())

    def log_in(self) -> None:
        self.access = self.ask("/auth/login", "", self.account)[1]["access"]

    def register(self, name: str) -> dict[str, str]:
        status, told = self.ask("/devices", self.access, {"device_id": name, "fleet": "storm"})
        assert status == 201, told
        return {"vehicle": told["vehicle_id"], "device": told["id"], "token": told["token"]}

    def send(self, car: dict[str, str], ttl_s: int = 300) -> str:
        order = {"action": "honk", "ttl_s": ttl_s}
        status, told = self.ask(f"/vehicles/{car['vehicle']}/commands", self.access, order)
        assert status == 201, told
        return str(told["id"])

    def told(self, command: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(f"/commands/{command}", self.access)[1]
        return found

    def take(self, car: dict[str, str]) -> list[str]:
        """What the device gets when it asks."""
        status, told = self.ask(f"/devices/{car['device']}/commands", car["token"])
        assert status == 200, told
        return [command["id"] for command in told["commands"]]

    def acknowledge(self, car: dict[str, str], command: str, success: bool = True) -> dict[str, Any]:
        path = f"/devices/{car['device']}/commands/{command}/ack"
        answer: dict[str, Any] = self.ask(path, car["token"], {"success": success})[1]
        return answer


class Asking(threading.Thread):
    """A device that asks while the server dies; `got` stays empty where the answer was lost."""

    def __init__(self, cloud: Cloud, car: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.cloud, self.car, self.got = cloud, car, []  # type: ignore[var-annotated]

    def run(self) -> None:
        try:
            self.got = self.cloud.take(self.car)
        except (OSError, ValueError, AssertionError):  # cut off in the middle
            self.got = []


def test_commands_survive_kills_and_come_once(tmp_path: Path) -> None:
    migrated.sqlite(tmp_path / "data")
    site = Site(tmp_path, **SETTINGS).start()
    assert site.env
    manage(site.env, "provision", "storm", "first")
    cloud = Cloud(site)
    cloud.log_in()
    cars = {name: cloud.register(name) for name in (*STATES, *FLYING)}
    try:
        for number in range(ROUNDS):
            cloud.log_in()
            sent = {name: cloud.send(cars[name]) for name in cars if name != "expiring"}
            sent["expiring"] = cloud.send(cars["expiring"], SHORTEST_TTL_S)
            expires = datetime.fromisoformat(cloud.told(sent["expiring"])["expires_at"]).timestamp()
            for state in ("delivered", "acknowledged"):
                assert cloud.take(cars[state]) == [sent[state]]
            assert cloud.acknowledge(cars["acknowledged"], sent["acknowledged"])["state"] == "succeeded"
            asking = die_while_asked(site, cloud, cars)
            site.start()
            check_settled(cloud, cars, sent)
            outcomes = Counter(outcome(cloud, device, sent[name]) for name, device in asking.items())
            time.sleep(max(0.0, expires - time.time() + 0.2))
            assert cloud.take(cars["expiring"]) == []
            late = cloud.told(sent["expiring"])
            assert late["state"] == "expired" and late["delivered_at"] is None
            log.info("kill %d, in flight then: %s", number + 1, dict(outcomes))
    finally:
        site.stop()


def die_while_asked(site: Site, cloud: Cloud, cars: dict[str, Any]) -> dict[str, Asking]:
    asking = {name: Asking(cloud, cars[name]) for name in FLYING}
    for each in asking.values():
        each.start()
        time.sleep(STAGGERED_S)
    site.kill()
    for each in asking.values():
        each.join(15)
    return asking


def check_settled(cloud: Cloud, cars: dict[str, Any], sent: dict[str, str]) -> None:
    """What was not in flight is as it was before the server died."""
    assert cloud.take(cars["queued"]) == [sent["queued"]]
    for state in ("queued", "delivered", "acknowledged"):
        assert cloud.take(cars[state]) == []
    assert cloud.acknowledge(cars["delivered"], sent["delivered"])["state"] == "succeeded"
    repeated = cloud.acknowledge(cars["acknowledged"], sent["acknowledged"], success=False)
    assert repeated["state"] == "succeeded"  # the first answer is kept


def outcome(cloud: Cloud, device: Asking, command: str) -> str:
    """Of a command that was being delivered."""
    later = cloud.take(device.car)
    assert len(device.got) + len(later) <= 1, "delivered twice"
    told = cloud.told(command)
    assert told["state"] == "delivered" and told["path"] == "poll"
    return "with the answer" if device.got else "after the restart" if later else "lost on the way"
