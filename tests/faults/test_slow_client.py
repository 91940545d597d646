"""A dashboard that never reads, on a real socket: it costs the others nothing and the server little memory."""

import base64
import contextlib
import json
import os
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.sync.client import ClientConnection, connect

from tests import migrated
from tests.environment import PYTHON, ROOT, clean_environment
from tests.faults.flood import FLOOD_END, VEHICLES
from tests.servers import Process, free_port, healthy

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]
FLOOD_S = float(os.environ.get("FLOOD_S", "6"))
MIB = 1024 * 1024
SESSION = """
from django.conf import settings
from django.test import Client
from fleet.models import Fleet, Membership, User
fleet = Fleet.objects.create(slug="flood", name="Flood")
user = User.objects.create_user("member@example.com", "x")
Membership.objects.create(fleet=fleet, user=user)
browser = Client()
browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
print(fleet.pk, settings.SESSION_COOKIE_NAME + "=" + browser.cookies[settings.SESSION_COOKIE_NAME].value)
"""


@dataclass
class Server:
    process: Process
    port: int
    cookie: str

    @property
    def memory(self) -> int:
        assert self.process.child
        return int(psutil.Process(self.process.child.pid).memory_info().rss)

    def start_flood(self) -> None:
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/flood", timeout=10)

    def dashboard(self) -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{self.port}/ws?batch=1",
            additional_headers={"Cookie": self.cookie},
            max_size=None,
        )


@pytest.fixture(params=["uvicorn", "daphne"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    env = clean_environment(
        DATA_DIR=str(tmp_path), STATIC_ROOT=str(tmp_path), FLOOD_S=str(FLOOD_S), LOG_LEVEL="WARNING"
    )
    env["DJANGO_SETTINGS_MODULE"] = "config.settings"
    migrated.sqlite(tmp_path)
    command = [PYTHON, "manage.py", "shell", "-v", "0", "-c", SESSION]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    fleet, cookie = done.stdout.split()
    port = free_port()
    commands = {
        "uvicorn": ["config.uvicorn", "--app", "tests.faults.flood:application", "--port", str(port)],
        "daphne": ["tests.faults.flood", str(port)],
    }
    process = Process("server", [PYTHON, "-m", *commands[request.param]], tmp_path)
    process.env = {**env, "FLOOD_FLEET": fleet}
    process.spawn().wait_ready(lambda: healthy(f"http://127.0.0.1:{port}"))
    yield Server(process, port, cookie)
    process.stop()


class Stuck:
    """Opens the socket by hand, with a small buffer, and reads nothing until it is told to."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", server.port))
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.socket.sendall(
            f"GET /ws?batch=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Cookie: {server.cookie}\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(1)
        assert b" 101 " in head, head

    def read_until(self, word: bytes, seconds: float) -> int:
        """Bytes read until `word` came by."""
        self.socket.settimeout(seconds)
        deadline, total, tail = time.monotonic() + seconds, 0, b""
        while word not in tail:
            assert time.monotonic() < deadline, f"{total} bytes, and not {word!r}"
            part = self.socket.recv(1 << 20)
            assert part, f"closed after {total} bytes"
            total += len(part)
            tail = tail[-200:] + part
        return total


def newest_of(message: Any) -> dict[str, dict[str, Any]]:
    return (
        {record["vehicle"]: record for record in message["data"]}
        if message["type"] == "telemetry_batch"
        else {}
    )


def test_a_dashboard_that_never_reads(server: Server) -> None:
    with server.dashboard() as good, contextlib.ExitStack() as sockets:
        stuck = [Stuck(server) for _ in range(5)]
        for one in stuck:
            sockets.enter_context(contextlib.closing(one.socket))
        time.sleep(0.5)
        before = server.memory
        server.start_flood()
        seen: dict[str, dict[str, Any]] = {}
        delays, bytes_, updates = [], 0, 0
        deadline = time.monotonic() + FLOOD_S + 15
        while len(seen) < VEHICLES or any(record["speed"] != FLOOD_END for record in seen.values()):
            text = good.recv(timeout=max(0.1, deadline - time.monotonic()))
            news = newest_of(json.loads(text))
            delays += [time.time() - record["timestamp"] for record in news.values()]
            updates += len(news)
            bytes_ += len(text)
            seen.update(news)
        grown = server.memory - before
        # Buffers of the system hold a few MB per socket; ours must not hold the rest.
        assert bytes_ > 8 * MIB
        assert grown < max(16 * MIB, bytes_), f"{grown / MIB:.1f} MiB more for {bytes_ / MIB:.1f} MiB sent"
        assert updates <= VEHICLES * (4 * FLOOD_S + 4)
        delays.sort()
        assert delays[len(delays) * 95 // 100] < 1.5, "the others are held up"
        for one in stuck:
            one.read_until(f'"speed":{FLOOD_END}'.encode(), 20)
        print(  # noqa: T201 - read by people with -s
            f"{updates} updates, {bytes_ / MIB:.1f} MiB to one reader; server grew {grown / MIB:.1f} MiB; "
            f"p95 {delays[len(delays) * 95 // 100] * 1000:.0f} ms"
        )
