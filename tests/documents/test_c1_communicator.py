"""The document of the in-car communicator (`/api/car-data`, `/api/car-status`): an aiohttp client, as it builds one."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import requests

from tests.documents.conftest import Cloud
from tests.servers import wait_until

pytestmark = pytest.mark.sqlite
PLATE = "ABC-123"
DATA = {
    "indoorTemp": 22.5,
    "outdoorTemp": 15.2,
    "gps": {"lat": 60.1699, "lng": 24.9384},
    "speed": 65,
    "engineStatus": "running",
}


class CloudCommunicator:
    """Reads data, posts it, hands commands on; gives up after five failures in a row."""

    def __init__(self, endpoint: str, headers: dict[str, str]) -> None:
        self.endpoint = endpoint
        self.headers = headers
        self.consecutive_failures = 0
        self.published: list[tuple[str, Any]] = []

    async def run(self, *acts: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout, headers=self.headers) as self.session:
            return [await act() for act in acts]

    async def send_to_cloud(self, data: dict[str, Any], timestamp: str) -> bool:
        payload = {
            "timestamp": timestamp,
            "license_plate": PLATE,
            "data": data,
            "source": "C1_cloud_communicator",
        }
        async with self.session.post(f"{self.endpoint}/api/car-data", json=payload) as response:
            if response.status != 200:
                self.consecutive_failures += 1
                return False
            result = await response.json()
            self.consecutive_failures = 0
            assert result["status"] == "received" and isinstance(result["message"], str)
            for command in result.get("commands", []):
                self.process(command)
            return True

    async def send_status(self, status: str, details: Any = None) -> bool:
        payload = {
            "timestamp": datetime.now().isoformat() + "Z",
            "license_plate": PLATE,
            "status": status,
            "details": details or {},
            "source": "C1_cloud_communicator",
        }
        async with self.session.post(f"{self.endpoint}/api/car-status", json=payload) as response:
            return response.status == 200

    def process(self, command: dict[str, Any]) -> None:
        action, parameters = command.get("action"), command.get("parameters", {})
        assert isinstance(action, str) and isinstance(parameters, dict)
        self.published.append((f"car:{PLATE}:commands", {"command": action, "parameters": parameters}))


def communicator(cloud: Cloud, header: str = "Authorization") -> CloudCommunicator:
    token = cloud.tokens["c1"]
    return CloudCommunicator(cloud.url, {header: f"Bearer {token}" if header == "Authorization" else token})


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_the_documents_own_payload(cloud: Cloud, header: str) -> None:
    client = communicator(cloud, header)
    assert asyncio.run(client.run(lambda: client.send_to_cloud(DATA, "2024-11-04T10:30:00.000Z"))) == [True]


@pytest.mark.parametrize(
    "timestamp",
    [
        datetime.now(UTC).isoformat(),
        datetime.now(UTC).replace(tzinfo=None).isoformat(),  # utcnow().isoformat(): no zone
        datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S"),
    ],
    ids=["zone", "no zone", "Z", "no T"],  # two test processes must find the same names
)
def test_times_as_clocks_write_them(cloud: Cloud, timestamp: str) -> None:
    client = communicator(cloud)
    assert asyncio.run(client.run(lambda: client.send_to_cloud(DATA, timestamp))) == [True]


def test_a_command_rides_back_once_and_is_published(cloud: Cloud) -> None:
    cloud.queue("abc", "start_heating", {"target_temp": 22})
    client = communicator(cloud)
    now = datetime.now(UTC)

    def send(second: int) -> Callable[[], Coroutine[Any, Any, bool]]:
        return lambda: client.send_to_cloud(DATA, (now + timedelta(seconds=second)).isoformat())

    assert asyncio.run(client.run(send(0), send(1))) == [True, True]
    expected = {"command": "start_heating", "parameters": {"target_temp": 22}}
    assert client.published == [(f"car:{PLATE}:commands", expected)]


def test_simulated_data_with_gaps_and_more_than_the_document_names(cloud: Cloud) -> None:
    client = communicator(cloud)
    odd = [
        DATA | {"outdoorTemp": None, "speed": 0},
        DATA | {"fuelLevel": 44, "doors": {"left": "open"}, "warnings": [], "odometer": 120_034},
        {"speed": 12.75},
    ]
    now = datetime.now(UTC)
    acts = [
        (lambda n=n, data=data: client.send_to_cloud(data, (now + timedelta(seconds=5 + n)).isoformat()))
        for n, data in enumerate(odd)
    ]
    assert all(asyncio.run(client.run(*acts)))


def test_status_reports_are_the_devices_state(cloud: Cloud) -> None:
    client = communicator(cloud)
    told = asyncio.run(
        client.run(
            lambda: client.send_status("online", {"component": "C1_cloud_communicator"}),
            lambda: client.send_status("error", {"error": "Redis away", "consecutive_failures": 3}),
            lambda: client.send_status("offline"),
        )
    )
    assert told == [True, True, True]
    shown = requests.get(f"{cloud.url}/api/v1/devices/{PLATE}", headers=client.headers, timeout=10).json()
    assert shown["status"] == "offline"


def test_the_car_moves_on_the_map(cloud: Cloud) -> None:
    client = communicator(cloud)
    position = {"gps": {"lat": 61.5, "lng": 23.75}, "speed": 31}
    moment = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
    asyncio.run(client.run(lambda: client.send_to_cloud(position, moment)))
    address, manager = f"{cloud.url}/api/v1/vehicles/{PLATE}/status", cloud.manager

    def moved() -> bool:
        status = requests.get(address, headers=manager, timeout=10).json()
        return bool(status["speed"] == 31 and status["position"]["lat"] == 61.5)

    wait_until(moved, "the car moves", 10)


def test_a_wrong_key_is_told_so(cloud: Cloud) -> None:
    answer = requests.post(
        f"{cloud.url}/api/car-data",
        json={"license_plate": PLATE},
        headers={"X-API-Key": "your_api_key"},
        timeout=10,
    )
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
