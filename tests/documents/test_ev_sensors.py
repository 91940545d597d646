"""The document of the sensor service: what was published is read back by id, by type, by period."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.documents.conftest import Cloud
from tests.servers import wait_until

pytestmark = pytest.mark.sqlite
SENSOR = "ev_001"


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Iterator[str]:
    """Readings as the document writes them, sent to the gateway's address (the queue of it comes later)."""
    begin = datetime.now(UTC) - timedelta(hours=2)
    readings = [
        {
            "sensor_id": SENSOR,
            "sensor_type": kind,
            "timestamp": (begin + timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": value + n,
            "unit": unit,
        }
        for n in range(5)
        for kind, value, unit in (("battery", 85.5, "percentage"), ("temperature", 31, "celsius"))
    ]
    headers = {"X-API-Key": cloud.tokens["ev"]}
    sent = requests.post(f"{cloud.url}/api/v1/sensors/data", json=readings, headers=headers, timeout=10)
    assert sent.ok and sent.json()["accepted"] == 10, sent.text
    yield f"{cloud.url}/api/v1/sensor/{SENSOR}"


def get(cloud: Cloud, address: str, **params: Any) -> Any:
    answer = requests.get(address, params=params, headers={"X-API-Key": cloud.tokens["ev"]}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_health(cloud: Cloud) -> None:
    answer = requests.get(f"{cloud.url}/health", timeout=10)
    assert answer.status_code == 200 and answer.json()["status"] in {"healthy", "degraded"}


def test_latest_of_every_type_and_of_one(cloud: Cloud, api: str) -> None:
    def shown() -> bool:
        found = {one["sensor_type"]: one["value"] for one in get(cloud, api)["readings"]}
        return found.get("battery") == 89.5 and found.get("temperature") == 35

    wait_until(shown, "the readings are kept", 10)
    assert get(cloud, api)["sensor_id"] == SENSOR
    one = get(cloud, f"{api}/battery")
    assert one["sensor_id"] == SENSOR and one["sensor_type"] == "battery" and one["value"] == 89.5
    assert one["unit"] and datetime.fromisoformat(one["timestamp"]).tzinfo


def test_history(cloud: Cloud, api: str) -> None:
    test_latest_of_every_type_and_of_one(cloud, api)
    now = datetime.now(UTC)
    begin, end = now - timedelta(hours=3), now + timedelta(minutes=1)
    whole = get(cloud, f"{api}/history", start_time=begin.isoformat(), end_time=end.isoformat())["readings"]
    assert len([one for one in whole if not one["reconstructed"]]) == 10
    assert [one["timestamp"] for one in whole] == sorted(one["timestamp"] for one in whole)
    ways: list[tuple[Any, Any]] = [
        (begin.strftime("%Y-%m-%dT%H:%M:%SZ"), end.strftime("%Y-%m-%dT%H:%M:%SZ")),
        (begin.replace(tzinfo=None).isoformat(), end.replace(tzinfo=None).isoformat()),
        (int(begin.timestamp()), end.timestamp()),
    ]
    for start_time, end_time in ways:
        assert get(cloud, f"{api}/history", start_time=start_time, end_time=end_time)["readings"] == whole
    # An address put together by hand, the + of the zone as it is.
    by_hand = f"{api}/history?start_time={begin.isoformat()}&end_time={end.isoformat()}"
    assert get(cloud, by_hand)["readings"] == whole
    only = get(cloud, f"{api}/history", start_time=begin.isoformat(), type="battery")["readings"]
    assert {one["sensor_type"] for one in only} == {"battery"}


def test_what_is_not_there(cloud: Cloud, api: str) -> None:
    headers = {"X-API-Key": cloud.tokens["ev"]}
    for address in (f"{api}/pressure", f"{api[: -len(SENSOR)]}ev_999"):
        answer = requests.get(address, headers=headers, timeout=10)
        assert answer.status_code == 404 and answer.headers["Content-Type"] == "application/problem+json"
