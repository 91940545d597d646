"""The document of the backend for trips, scenarios, models, profiles: a requests session that tries again."""

import base64
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from fleet.tests.footage_samples import footage
from tests.documents.conftest import Cloud

pytestmark = pytest.mark.sqlite
VEHICLE, FLEET, DRIVER = "vehicle_001", "fleet_alpha", "driver_123"


@dataclass
class Response:
    success: bool
    data: Any
    error: str | None
    status_code: int


class CloudAPIClient:
    """Bearer, pooling, retry with backoff, timeouts; an object with `.success` and `.data`."""

    def __init__(self, api_url: str, api_key: str, vehicle_id: str, fleet_id: str) -> None:
        self.api_url = api_url.rstrip("/")
        self.session = requests.Session()
        retry = Retry(total=3, backoff_factor=0.1, status_forcelist=[429, 500, 502, 503, 504])
        self.session.mount("http://", HTTPAdapter(max_retries=retry, pool_maxsize=10))
        self.session.headers.update(
            {
                "Authorization": f"Bearer {api_key}",
                "Content-Type": "application/json",
                "X-Vehicle-ID": vehicle_id,
                "X-Fleet-ID": fleet_id,
            }
        )

    def request(self, method: str, endpoint: str, **options: Any) -> Response:
        answer = self.session.request(method, f"{self.api_url}{endpoint}", timeout=30, **options)
        data = answer.json() if answer.content else None
        return Response(answer.ok, data, None if answer.ok else answer.text, answer.status_code)

    def get(self, endpoint: str, params: dict[str, Any] | None = None) -> Response:
        return self.request("GET", endpoint, params=params)

    def post(self, endpoint: str, data: Any = None, files: Any = None) -> Response:
        if files:  # the boundary is requests' to name
            return self.request("POST", endpoint, files=files, data=data, headers={"Content-Type": None})
        return self.request("POST", endpoint, json=data)

    def put(self, endpoint: str, data: Any) -> Response:
        return self.request("PUT", endpoint, json=data)

    def check_connectivity(self) -> bool:
        return self.get("/health").success


@pytest.fixture(scope="module")
def client(cloud: Cloud) -> CloudAPIClient:
    return CloudAPIClient(f"{cloud.url}/api/v1", cloud.tokens["sentinel"], VEHICLE, FLEET)


def test_connectivity_also_with_the_test_key_of_the_document(cloud: Cloud, client: CloudAPIClient) -> None:
    assert client.check_connectivity()
    for base in (cloud.url, f"{cloud.url}/api/v1/"):
        assert CloudAPIClient(base, "test_key", "test_vehicle", "test_fleet").get("/health").success


def trip(**changes: Any) -> dict[str, Any]:
    begin = time.time() - 1800
    return {
        "trip_id": str(uuid.uuid4()),
        "vehicle_id": VEHICLE,
        "fleet_id": FLEET,
        "driver_id": DRIVER,
        "start_time": begin,
        "end_time": None,
        "distance": 100.0,
        "duration": 300.5,
        "average_speed": 15.0,
        "max_speed": 22,
        "average_risk_score": 0.3,
        "max_risk_score": 1,
        "alert_counts": {"info": 2, "warning": 1, "critical": 0},
        "start_location": {"lat": 60.17, "lng": 24.94},
        "end_location": None,
        "software": {"version": "1.2"},
    } | changes


def test_trips_uploaded_every_five_minutes_and_at_the_end(client: CloudAPIClient) -> None:
    first = trip()
    ended = first | {
        "end_time": time.time() - 60,
        "distance": 8200.4,
        "end_location": {"lat": 60.2, "lng": 25},
    }
    sent = [client.post("/trips", one) for one in (first, first, ended)]
    assert [one.success for one in sent] == [True, True, True], [one.error for one in sent]
    assert sent[0].status_code == 201 and sent[1].status_code == 200
    assert sent[2].data["trip_id"] == first["trip_id"] and sent[2].data["distance"] == 8200.4
    assert sent[2].data["metadata"]["software"] == {"version": "1.2"}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-11-17T10:30:45", "2024-11-17T11:00:00.123456"),  # datetime.now().isoformat()
        ("2024-11-17T10:30:45Z", "2024-11-17T11:00:00+00:00"),
        (1731839445, 1731841200.5),
        (1731839445000, 1731841200500.0),  # milliseconds
    ],
)
def test_times_of_a_trip(client: CloudAPIClient, start: Any, end: Any) -> None:
    sent = client.post("/trips", trip(start_time=start, end_time=end))
    assert sent.success and sent.data["start_time"].startswith("2024-11-17T10:30:45"), sent.error


def test_an_offline_queue_is_drained(client: CloudAPIClient) -> None:
    sent = client.post("/trips", [trip() for _ in range(20)])
    assert sent.success and len(sent.data["results"]) == 20


@pytest.mark.parametrize("answered", ["id", "scenario_id"])
def test_a_scenario_with_videos_and_annotations(
    client: CloudAPIClient, answered: str, tmp_path: Path
) -> None:
    name = f"2024-11-17_10-30-45_{answered}"
    told = {
        "scenario_id": name,
        "vehicle_id": VEHICLE,
        "timestamp": "2024-11-17T10:30:45",
        "duration": 30.0,
        "trigger": "high_risk",
        "consent": True,
        "metadata": {"priority": "high", "frames": 900},
    }
    made = client.post("/scenarios", told)
    assert made.success, made.error
    scenario = made.data[answered]
    for camera in ("front", "interior"):
        path = tmp_path / f"{camera}.mp4"
        path.write_bytes(footage(2000) + camera.encode())
        with path.open("rb") as file:
            sent = client.post(
                f"/scenarios/{scenario}/videos",
                data={"camera": camera},
                files={"file": (path.name, file, "video/mp4")},
            )
        assert sent.success and sent.data["camera"] == camera, sent.error
    noted = client.post(
        f"/scenarios/{scenario}/annotations",
        {"annotations": [{"timestamp": 1.5, "label": "pedestrian", "box": [1, 2, 3, 4]}]},
    )
    assert noted.success, noted.error
    assert len(client.get(f"/scenarios/{scenario}").data["videos"]) == 2


def test_without_consent_nothing_is_taken(client: CloudAPIClient) -> None:
    told = {"scenario_id": "s", "vehicle_id": VEHICLE, "timestamp": time.time(), "consent": False}
    assert client.post("/scenarios", told).status_code == 422


def test_model_updates(client: CloudAPIClient) -> None:
    updates = client.get("/models")
    assert updates.success and updates.data["models"] == []
    assert client.get("/models/yolov8m_automotive/download", {"version": "v2.1.0"}).status_code == 404


def test_a_profile_travels_encrypted(client: CloudAPIClient) -> None:
    kdf = PBKDF2HMAC(algorithm=hashes.SHA256(), length=32, salt=b"sentinel", iterations=1000)
    box = Fernet(base64.urlsafe_b64encode(kdf.derive(VEHICLE.encode())))
    driver = f"driver_{os.getpid()}"
    assert client.get(f"/drivers/{driver}/profile").status_code == 404
    for version, content in enumerate((b'{"seat": 1}', b'{"seat": 2}'), 1):
        body = {
            "driver_id": driver,
            "encrypted_profile": box.encrypt(content).decode(),
            "version": version,
            "updated_at": time.time(),
        }
        assert client.put(f"/drivers/{driver}/profile", body).success
    back = client.get(f"/drivers/{driver}/profile")
    assert back.success and back.data["version"] == 2 and back.data["driver_id"] == driver
    assert box.decrypt(back.data["encrypted_profile"].encode()) == b'{"seat": 2}'
    stale = client.put(f"/drivers/{driver}/profile", {"encrypted_profile": "x", "version": 2})
    assert stale.status_code == 412 and stale.data["version"] == 2


def test_how_the_vehicle_is(client: CloudAPIClient) -> None:
    status = client.get(f"/vehicles/{VEHICLE}/status")
    assert status.success and status.data["status"] in {"online", "offline"}
    assert {"last_seen", "position", "battery", "speed"} <= status.data.keys()


def test_alerts_of_the_fleet(client: CloudAPIClient) -> None:
    assert client.post("/alerts/trigger", {"type": "harsh_brake", "severity": "warning"}).success
    alerts = client.get(f"/fleet/{FLEET}/alerts")
    assert alerts.success and alerts.data["results"][0]["type"] == "harsh_brake"


def test_another_fleet_does_not_exist(client: CloudAPIClient) -> None:
    for path in ("/fleet/other/alerts", "/vehicles/abc/status", "/fleet/mash/alerts"):
        assert client.get(path).status_code == 404
