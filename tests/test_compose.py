"""docker-compose.yml without an engine: its schema, its promises, its commands with a record through them."""

import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests import compose
from tests.environment import PYTHON, ROOT
from tests.servers import Postgres, Valkey

# The first of them migrates an empty database, and starts every process.
pytestmark = pytest.mark.timeout(600)

# What the proxy tells the servers behind it.
PROXIED = {"X-Forwarded-Proto": "https"}


def test_the_file_follows_the_compose_schema() -> None:
    command = [PYTHON, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(compose.FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_file_holds_no_secret() -> None:
    for name, service in compose.document()["services"].items():
        for key, value in (service.get("environment") or {}).items():
            if any(word in key for word in ("PASSWORD", "SECRET", "_PASS")) or "://" in value:
                assert "@" not in value or "${" in value, f"{name}.{key} holds a secret"
                assert "://" in value or value.startswith("${"), f"{name}.{key} holds a secret"


def test_every_server_is_asked_how_it_is_and_waited_for() -> None:
    services = compose.document()["services"]
    for name, service in services.items():
        for other, how in (service.get("depends_on") or {}).items():
            one_shot = services[other].get("restart") == "no"
            wanted = "service_completed_successfully" if one_shot else "service_healthy"
            assert how["condition"] == wanted, f"{name} waits for {other} by {how['condition']}"
            assert one_shot or "healthcheck" in services[other], f"{other} has no healthcheck"


def test_what_the_file_mounts_is_in_the_repository() -> None:
    for service in compose.document()["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), source
    assert (ROOT / compose.document()["x-app"]["build"]["dockerfile"]).exists()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, rabbitmq_url: str) -> Iterator[compose.Stack]:
    postgres, valkey = Postgres(), Valkey()
    try:
        addresses = {
            "DATABASE_URL": postgres.start().url,
            "REDIS_URL": valkey.start().url,
            "CELERY_BROKER_URL": rabbitmq_url,
        }
        with compose.running(tmp_path_factory.mktemp("stack"), **addresses) as running:
            yield running
    finally:
        postgres.remove()
        valkey.remove()


def provision(stack: compose.Stack) -> dict[str, Any]:
    command = [PYTHON, "manage.py", "provision", "demo", "van-1", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=stack.environment("web"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert {"fleet", "vehicle", "vin", "plate", "device", "token"} <= answer.keys()
    return answer


@pytest.mark.services
def test_a_record_travels_through_the_commands_of_the_file(stack: compose.Stack) -> None:
    vehicle = provision(stack)
    headers = {"Authorization": f"Bearer {vehicle['token']}", **PROXIED}
    record = {
        "vin": vehicle["vin"],
        "timestamp": datetime.now(UTC).isoformat(),
        "speed": 65.0,
        "battery": 82,
        "power": 12.5,
        "heading": 45,
    }
    sent = requests.post(
        f"{stack.url('ingest')}/api/telemetry",
        json=record,
        headers=headers,
        timeout=10,
        allow_redirects=False,
    )
    assert sent.status_code == 200, sent.text
    assert sent.json()["status"] == "success"

    status_url = f"{stack.url('web')}/api/v1/vehicles/van-1/status"
    deadline = time.monotonic() + 30
    while True:
        answer = requests.get(status_url, headers=headers, timeout=10, allow_redirects=False)
        assert answer.status_code == 200, answer.text
        if answer.json().get("speed") == pytest.approx(65.0, abs=0.5):
            break
        assert time.monotonic() < deadline, f"not there after 30 s: {answer.text}"
        time.sleep(0.2)
    assert answer.json()["battery"] == pytest.approx(82, abs=1)


@pytest.mark.services
def test_the_probe_of_the_healthchecks(stack: compose.Stack) -> None:
    for service in ("web", "ingest"):
        test = compose.words(compose.document()["services"][service]["healthcheck"]["test"])
        assert test[:3] == ["CMD", "python", "deploy/probe.py"]
        command = [PYTHON, test[2], str(stack.ports[service])]
        subprocess.run(command, cwd=ROOT, env=stack.environment(service), check=True, timeout=20)


@pytest.mark.services
def test_the_processes_end_cleanly(stack: compose.Stack) -> None:
    """Last of the module: SIGTERM, as compose sends it, ends each of them in time."""
    codes = stack.stop()
    assert set(codes) == {"web", "ingest", "worker", "deriver", "notifier", "reporter", "beat"}
    slow = [name for name, code in codes.items() if code is None]
    assert not slow, f"had to be killed: {slow}"
