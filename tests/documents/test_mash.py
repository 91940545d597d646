"""The document of the greenhouse gateway (accounts, sensors, commands, alerts): e-mail and password, JWT, refreshed."""

import time
from typing import Any

import jwt
import pytest
import requests

from tests.documents.conftest import Cloud
from tests.documents.seed import DEVICE_EMAIL, PASSWORD
from tests.servers import wait_until

pytestmark = pytest.mark.sqlite
DEVICE_ID = "rpi_gateway_001"


class BackendAPIClient:
    """Authenticates by itself, refreshes before expiry, answers True or False as the document's does."""

    def __init__(self, url: str, names: tuple[str, str] = ("access_token", "refresh_token")) -> None:
        self.url = f"{url}/api/v1"
        self.names = names
        self.session = requests.Session()
        self.access_token: str | None = None
        self.refresh_token: str | None = None

    def authenticate(self) -> bool:
        answer = self.session.post(
            f"{self.url}/auth/login", json={"email": DEVICE_EMAIL, "password": PASSWORD}, timeout=10
        )
        return answer.status_code == 200 and self._keep(answer.json())

    def refresh(self) -> bool:
        answer = self.session.post(
            f"{self.url}/auth/refresh", json={self.names[1]: self.refresh_token}, timeout=10
        )
        return answer.status_code == 200 and self._keep(answer.json())

    def _keep(self, data: dict[str, Any]) -> bool:
        self.access_token, self.refresh_token = data[self.names[0]], data[self.names[1]]
        claims = jwt.decode(self.access_token, options={"verify_signature": False})
        assert claims["exp"] > time.time() + 60  # refreshed before it expires
        self.session.headers["Authorization"] = f"Bearer {self.access_token}"
        return True

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self.session.request(method, f"{self.url}{path}", json=body, timeout=10)

    def check_connection(self) -> bool:
        return self.call("GET", "/health").ok and (self.access_token is not None or self.authenticate())

    def register_device(self) -> bool:
        body = {
            "id": DEVICE_ID,
            "deviceId": DEVICE_ID,
            "name": "MASH IoT Gateway",
            "type": "gateway",
            "status": "ONLINE",
            "firmware": "1.0.0",
            "location": None,
        }
        return self.call("POST", "/devices", body).status_code in {200, 201}

    def send_sensor_data(self, data: Any) -> bool:
        return self.call("POST", "/sensors/data", data).status_code in {200, 201}

    def send_alert(self, kind: str, message: str, severity: str = "INFO") -> bool:
        body = {
            "device_id": DEVICE_ID,
            "type": kind,
            "message": message,
            "severity": severity,
            "timestamp": time.time(),
        }
        return self.call("POST", "/alerts/trigger", body).status_code in {200, 201}

    def get_actuator_commands(self) -> list[dict[str, Any]]:
        commands: list[dict[str, Any]] = self.call("GET", f"/devices/{DEVICE_ID}/commands").json()["commands"]
        return commands

    def acknowledge_command(self, command_id: str, success: bool, message: str | None = None) -> bool:
        body = {"success": success, "message": message}
        return self.call("POST", f"/devices/{DEVICE_ID}/commands/{command_id}/ack", body).ok

    def update_status(self, **body: Any) -> bool:
        return self.call("PUT", f"/devices/{DEVICE_ID}", body).ok


@pytest.fixture(scope="module")
def backend(cloud: Cloud) -> BackendAPIClient:
    client = BackendAPIClient(cloud.url)
    assert client.check_connection()
    return client


@pytest.mark.parametrize(
    "names", [("access_token", "refresh_token"), ("accessToken", "refreshToken"), ("access", "refresh")]
)
def test_authentication_and_refresh(cloud: Cloud, names: tuple[str, str]) -> None:
    client = BackendAPIClient(cloud.url, names)
    assert client.authenticate()
    used = client.refresh_token
    assert client.refresh() and client.refresh_token != used and client.check_connection()
    client.refresh_token = used
    assert not client.refresh()  # good once


def test_a_refresh_token_sent_as_a_bearer(cloud: Cloud) -> None:
    client = BackendAPIClient(cloud.url)
    client.authenticate()
    headers = {"Authorization": f"Bearer {client.refresh_token}"}
    assert requests.post(f"{client.url}/auth/refresh", headers=headers, timeout=10).status_code == 200


def test_a_wrong_password(cloud: Cloud) -> None:
    body = {"email": DEVICE_EMAIL, "password": "wrong"}
    answer = requests.post(f"{cloud.url}/api/v1/auth/login", json=body, timeout=10)
    assert answer.status_code == 401 and answer.json()["status"] == 401


def test_registration_is_idempotent(backend: BackendAPIClient) -> None:
    assert backend.register_device() and backend.register_device()


def test_sensor_data_as_in_the_document(backend: BackendAPIClient) -> None:
    assert backend.send_sensor_data(
        {"fruiting": {"temp": 24.5, "humidity": 85, "co2": 800}, "timestamp": time.time()}
    )

    def shown() -> bool:
        answer = backend.call("GET", f"/sensor/{DEVICE_ID}/fruiting.temp")
        return answer.status_code == 200 and answer.json()["value"] == 24.5

    wait_until(shown, "the reading is kept", 10)


@pytest.mark.parametrize("wrapper", ["", "readings", "data", "records"])
def test_a_batch_of_fifty(backend: BackendAPIClient, wrapper: str) -> None:
    begin = time.time() - 3600
    batch = [
        {"spawning": {"temp": 20 + n / 10, "humidity": None}, "timestamp": begin + n + len(wrapper) / 100}
        for n in range(50)
    ]
    body: Any = {"device_id": DEVICE_ID, wrapper: batch} if wrapper else batch
    answer = backend.call("POST", "/sensors/data", body)
    assert answer.ok and answer.json()["accepted"] == 50, answer.text


def test_readings_by_room_as_the_backup_sends_them(backend: BackendAPIClient) -> None:
    assert backend.send_sensor_data(
        {"deviceId": DEVICE_ID, "room": "fruiting", "temp": 24.5, "humidity": 85, "co2": 800}
    )


@pytest.mark.parametrize("severity", ["CRITICAL", "WARNING", "INFO", "critical"])
def test_alerts(cloud: Cloud, backend: BackendAPIClient, severity: str) -> None:
    kind = f"high_co2_{severity}"
    assert backend.send_alert(kind, "CO2 exceeded threshold", severity)
    found = requests.get(
        f"{cloud.url}/api/v1/alerts", params={"type": kind}, headers=cloud.manager, timeout=10
    )
    [alert] = found.json()["results"]
    assert alert["severity"] == severity.upper() and alert["data"] == {"device_id": DEVICE_ID}


def test_commands_are_fetched_done_and_acknowledged(cloud: Cloud, backend: BackendAPIClient) -> None:
    for action in ("fan_on", "mist"):
        cloud.queue(DEVICE_ID, action, {"seconds": 5})
    first, second = backend.get_actuator_commands()
    assert first["action"] == "fan_on" and first["parameters"] == {"seconds": 5}
    assert backend.get_actuator_commands() == []
    assert backend.acknowledge_command(first["id"], True)
    assert backend.acknowledge_command(second["id"], False, "pump is dry")
    kept = requests.get(
        f"{cloud.url}/api/v1/commands/{second['id']}", headers=cloud.manager, timeout=10
    ).json()
    assert kept["state"] == "failed" and kept["message"] == "pump is dry"


def test_status_updates(backend: BackendAPIClient) -> None:
    assert backend.update_status(status="ONLINE", lastSeen=time.time(), uptime=120, ip=None)
    assert backend.call("GET", f"/devices/{DEVICE_ID}").json()["status"] == "ONLINE"


def test_with_the_devices_token_it_need_not_register_first(cloud: Cloud) -> None:
    """Before anybody said what the device calls itself, its vehicle's name is good for it."""
    headers = {"Authorization": f"Bearer {cloud.tokens['ev']}"}
    answer = requests.put(
        f"{cloud.url}/api/v1/devices/ev_001", json={"status": "ONLINE"}, headers=headers, timeout=10
    )
    assert answer.status_code == 200
