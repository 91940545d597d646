"""POST /api/v1/sensors/data, by a client written from its document alone; then what the document leaves open."""

import random
import time
from typing import Any

import pytest
from django.test import Client

from fleet.models import User
from telemetry.models import Frame, TelemetryRecord
from tests.deliveries import drain_all
from tests.world import Car, make_car, rows_of

pytestmark = pytest.mark.django_db
READING = {"fruiting": {"temp": 24.5, "humidity": 85, "co2": 800}, "timestamp": 1769594400}


class Backend:
    """As in the document: a base URL, e-mail and password, tokens renewed by itself."""

    def __init__(self, email: str, password: str, base: str = "/api/v1") -> None:
        self.http, self.base = Client(), base
        answer = self.http.post(
            f"{base}/auth/login", {"email": email, "password": password}, content_type="application/json"
        )
        self.access = answer.json()["access_token"]

    def send_sensor_data(self, data: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.access}"}
        return self.http.post(
            f"{self.base}/sensors/data", data, content_type="application/json", headers=headers
        )


@pytest.fixture
def gateway(car: Car) -> Backend:
    account = User.objects.create_user("device@mash.example", "a long secret", is_device=True)
    car.device.account = account
    car.device.save()
    return Backend("device@mash.example", "a long secret")


def test_the_documents_own_example(gateway: Backend, car: Car) -> None:
    answer = gateway.send_sensor_data({**READING, "timestamp": time.time()})
    assert answer.status_code == 200
    assert answer.json() == {"status": "success", "accepted": 1, "repeated": 0}
    drain_all()
    row = TelemetryRecord.objects.get(vehicle=car.vehicle)
    assert row.extra == {"fruiting.temp": 24.5, "fruiting.humidity": 85, "fruiting.co2": 800}


def test_a_batch_keeps_the_good_ones(gateway: Backend) -> None:
    batch = [{**READING, "timestamp": READING["timestamp"] + n} for n in range(50)]  # type: ignore[operator]
    batch[7] = {"timestamp": 1769594400}
    batch[9] = {"fruiting": {"temp": 1}}
    answer = gateway.send_sensor_data(batch).json()
    assert answer["accepted"] == 48
    assert [(each["record"], each["field"]) for each in answer["rejected"]] == [(7, ""), (9, "timestamp")]


def test_flat_numbers_and_known_signals(gateway: Backend, car: Car) -> None:
    gateway.send_sensor_data({"timestamp": 1769594400, "temp": 3, "battery": 55, "note": "door open"})
    drain_all()
    row = TelemetryRecord.objects.get(vehicle=car.vehicle)
    assert row.battery_percent == 55
    assert row.extra == {"temp": 3, "note": "door open"}


def test_without_a_time_it_is_now_but_not_in_a_list(gateway: Backend, car: Car) -> None:
    assert gateway.send_sensor_data({"spawning": {"temp": 20}}).status_code == 200
    drain_all()
    assert abs(TelemetryRecord.objects.get(vehicle=car.vehicle).time.timestamp() - time.time()) < 60
    refused = gateway.send_sensor_data([{"spawning": {"temp": 20}}, {"spawning": {"temp": 21}}])
    assert refused.status_code == 400


def test_another_devices_name(gateway: Backend, car: Car) -> None:
    other = make_car("elsewhere")
    assert gateway.send_sensor_data({**READING, "device_id": other.device.slug}).status_code == 404
    assert gateway.send_sensor_data({**READING, "device_id": car.device.slug}).status_code == 200
    assert Frame.objects.count() == 1


@pytest.mark.parametrize("garbage", [5, [], {}, [1], {"fruiting": {}}, {"fruiting": {"temp": None}}, "x"])
def test_garbage(gateway: Backend, garbage: Any) -> None:
    assert gateway.send_sensor_data(garbage).status_code == 400
    assert not Frame.objects.exists()


def test_repeated_and_shuffled_batches_give_the_same_rows(gateway: Backend, car: Car) -> None:
    batch = [
        {group: {"temp": n}, "timestamp": 1769594400 + n}
        for n, group in enumerate(["fruiting", "spawning"] * 20)
    ]
    gateway.send_sensor_data(batch)
    drain_all()
    straight = rows_of(car)
    mixed = [*batch, *batch]
    random.Random(3).shuffle(mixed)
    for start in range(0, len(mixed), 7):
        assert gateway.send_sensor_data(mixed[start : start + 7]).status_code == 200
        drain_all()
    assert rows_of(car) == straight
    assert len(straight) == 40
