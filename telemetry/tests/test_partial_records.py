"""Senders that tell some values now and others later: nothing is filled in, and what is known last is kept."""

from itertools import permutations
from typing import Any

import orjson
import pytest
from django.test import Client

from fleet.models import VehicleState
from telemetry.models import TelemetryRecord
from tests.deliveries import drain_all
from tests.world import Car, make_car

pytestmark = pytest.mark.django_db
ROWS: list[dict[str, Any]] = [
    {"gps": {"lat": 52.5, "lng": 13.4}, "batteryLevel": 80},
    {"speed": 30, "batteryLevel": 79},
    {"gps": {"lat": 52.6, "lng": 13.5}, "gear": 3},
    {"indoorTemp": 21.5},
]


def send(car: Car, number: int) -> None:
    body = {"timestamp": 1_731_000_000 + number, "license_plate": car.vehicle.slug, "data": ROWS[number]}
    headers = {"X-API-Key": car.token}
    answer = Client().post("/api/car-data", orjson.dumps(body), "application/json", headers=headers)
    assert answer.status_code == 200, answer.content


def test_history_holds_what_was_sent_and_nothing_else() -> None:
    car = make_car("north", "taxi")
    for number in (3, 0, 2, 1):
        send(car, number)
        drain_all()
    rows = list(TelemetryRecord.objects.filter(vehicle=car.vehicle).order_by("time"))
    assert [row.sent.bit_count() for row in rows] == [3, 2, 2, 1]
    assert [row.latitude_deg for row in rows] == [52.5, None, 52.6, None]
    assert [row.speed_kmh for row in rows] == [None, 30, None, None]
    assert [row.battery_percent for row in rows] == [80, 79, None, None]


def test_the_last_known_place_and_charge_stay_whatever_the_order() -> None:
    seen = []
    for number, order in enumerate(permutations(range(len(ROWS)))):
        car = make_car("north", f"taxi-{number}")
        for row in order:
            send(car, row)
            if number % 2:
                drain_all()
        drain_all()
        state = VehicleState.objects.get(vehicle=car.vehicle)
        assert state.values == {"cabin_temperature": 21.5}
        told = state.further
        assert told is not None
        seen.append((state.latitude_deg, state.longitude_deg, state.battery_percent, sorted(told.items())))
    assert all(one == seen[0] for one in seen)
    assert seen[0][:3] == (52.6, 13.5, 79)
    assert dict(seen[0][3])["speed"] == [30, 1_731_000_001]


def test_the_newest_of_each_type_has_its_own_age() -> None:
    car = make_car("north", "taxi")
    for number in range(len(ROWS)):
        send(car, number)
    drain_all()
    answer = Client().get(f"/api/v1/sensor/{car.device.slug}", headers={"X-API-Key": car.token}).json()
    told = {each["sensor_type"]: (each["value"], each["timestamp"]) for each in answer["readings"]}
    assert told["speed"][0] == 30 and told["gear"][0] == 3
    assert told["speed"][1] < told["latitude"][1] < told["cabin_temperature"][1]
