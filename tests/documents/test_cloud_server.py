"""The document of the telemetry server (protobuf in, WebSocket out): an edge logger, a dashboard, and curl."""

import json
import time
from typing import Any

import pytest
import requests
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from edge.protocol.telemetry_pb2 import Telemetry
from tests.documents.conftest import Cloud

pytestmark = pytest.mark.sqlite
VIN = "5YJ3E1EA1KF000001"


def post(cloud: Cloud, body: bytes, **headers: str) -> requests.Response:
    return requests.post(
        f"{cloud.url}/api/telemetry",
        data=body,
        headers={"Content-Type": "application/x-protobuf", "X-API-Key": cloud.tokens["cloud"]} | headers,
        timeout=10,
    )


def record(**values: Any) -> bytes:
    return Telemetry(vin=VIN, timestamp=time.time(), **values).SerializeToString()


def test_an_edge_logger(cloud: Cloud) -> None:
    answer = post(cloud, record(speed=65.0, battery=82, power=12.5, heading=45))
    assert answer.status_code == 200
    told = answer.json()
    assert told["status"] == "success" and 0 <= told["compression_ratio"] <= 1
    assert told["transmitted_fields"] == 4 and isinstance(told["skipped_fields"], int)


def test_bad_protobuf(cloud: Cloud) -> None:
    answer = post(cloud, b"\xff\xff not protobuf")
    assert answer.status_code == 400 and "error" in answer.json()


def test_status_as_curl_reads_it(cloud: Cloud) -> None:
    status = requests.get(f"{cloud.url}/status", timeout=10).json()
    assert status["status"] == "healthy" and status["supabase_enabled"] is False
    counted = status["compression_stats"]
    assert {
        "total_readings",
        "transmitted_readings",
        "skipped_readings",
        "compression_ratio",
    } <= counted.keys()


class Dashboard:
    """Keeps what it is told, by type, as the front end of the document does."""

    def __init__(self, socket: Connection) -> None:
        self.socket = socket

    def wait_for(self, kind: str, **expected: Any) -> dict[str, Any]:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            message: dict[str, Any] = json.loads(self.socket.recv(timeout=10))
            about = message.get("data", message)
            if message["type"] == kind and (
                not expected or all(about.get(name) == value for name, value in expected.items())
            ):
                return message
        raise AssertionError(f"no {kind} with {expected}")


def dashboard_address(cloud: Cloud, headers: dict[str, str]) -> str:
    """A browser's socket cannot send headers: the credentials ride in the address."""
    token = headers["Authorization"].removeprefix("Bearer ")
    return f"{cloud.url.replace('http', 'ws')}/ws?token={token}"


def test_a_dashboard(cloud: Cloud) -> None:
    post(cloud, record(speed=50.0, battery=80))
    with connect(dashboard_address(cloud, cloud.manager)) as socket:
        dashboard = Dashboard(socket)
        history = dashboard.wait_for("history")
        assert isinstance(history["data"], list)
        assert "compression_ratio" in dashboard.wait_for("compression_stats")["data"]
        post(cloud, record(speed=66.0, battery=81, power=13.5, heading=46))
        data = dashboard.wait_for("telemetry", speed=66.0, vehicle_vin=VIN)["data"]
        assert (data["battery"], data["power"], data["heading"]) == (81, 13.5, 46)
        assert abs(data["timestamp"] - time.time()) < 30


def test_the_logger_is_started_from_the_dashboard_by_staff_only(cloud: Cloud) -> None:
    for headers, level in ((cloud.manager, "error"), (cloud.staff, "error")):  # none runs beside this server
        with connect(dashboard_address(cloud, headers)) as socket:
            for kind in ("start_logger", "stop_logger"):
                socket.send(json.dumps({"type": kind}))
                told = Dashboard(socket).wait_for("log")
                assert told["log_type"] == level and isinstance(told["message"], str)


def test_the_logger_over_http(cloud: Cloud) -> None:
    """No body, no type: as curl -X POST sends it. 409: no replay logger runs beside this server."""
    for act in ("start", "stop"):
        address = f"{cloud.url}/logger/{act}"
        assert requests.post(address, timeout=10).status_code == 401
        assert requests.post(address, headers=cloud.staff, timeout=10).status_code == 409
        to_car = requests.post(address, json={"vehicle": VIN}, headers=cloud.staff, timeout=10)
        assert to_car.status_code == 200 and to_car.json()["status"] == "success", to_car.text


def test_a_stranger_sees_nothing(cloud: Cloud) -> None:
    with connect(f"{cloud.url.replace('http', 'ws')}/ws") as socket, pytest.raises(Exception, match="4401"):
        socket.recv(timeout=10)
