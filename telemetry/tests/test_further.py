"""Further values: the newest of each with its own age, in pushes, on the page and in charts."""

import random
import time
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.models import Role, SensorType, VehicleState
from telemetry import lastknown, vehicle_state
from telemetry.live import _forms
from telemetry.models import TelemetryRecord
from tests.deliveries import deliver, drain_all
from tests.world import Car, make_person

pytestmark = pytest.mark.django_db
NOW = float(int(time.time()))


def reading(at: float, **extra: float) -> Telemetry:
    return Telemetry(timestamp=at, extra={name.replace("_", "."): value for name, value in extra.items()})


def further(car: Car) -> Any:
    return VehicleState.objects.get(vehicle=car.vehicle).further


@pytest.fixture
def visitor(car: Car) -> Client:
    client = Client()
    client.force_login(
        make_person("viewer@example.com", car.vehicle.fleet.slug, Role.VIEWER),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def test_groups_that_come_in_turns_keep_their_own_age(car: Car) -> None:
    deliver(car, [reading(NOW - 60, fruiting_temp=24.5)])
    drain_all()
    deliver(car, [reading(NOW, spawning_temp=20)])
    drain_all()
    assert further(car) == {"fruiting.temp": [24.5, NOW - 60], "spawning.temp": [20, NOW]}
    deliver(car, [reading(NOW - 30, fruiting_temp=25), reading(NOW - 90, fruiting_temp=1)])
    drain_all()
    assert further(car)["fruiting.temp"] == [25, NOW - 30], "late, but the newest of its type"


def test_the_order_of_arrival_does_not_matter(car: Car) -> None:
    rows = [reading(NOW - n // 2, **{f"g{n % 3}_temp": n}) for n in range(40)]
    deliver(car, rows)
    drain_all()
    straight = further(car)
    VehicleState.objects.all().delete()
    TelemetryRecord.objects.all().delete()
    car.device.streams.all().delete()
    random.Random(1).shuffle(rows)
    for row in rows:
        deliver(car, [row])
        drain_all()
    assert further(car) == straight


def test_words_are_no_readings_and_names_do_not_pile_up(car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lastknown, "_LIMIT", 5)
    for n in range(10):
        message = reading(NOW + n, **{f"name{n}": n})
        message.labels["word"] = "text"
        deliver(car, [message])
        drain_all()
    assert set(further(car)) == {f"name{n}" for n in range(5, 10)}


def test_records_without_any_cost_nothing_more(car: Car) -> None:
    deliver(car, [Telemetry(timestamp=NOW - 1, speed=1)])
    drain_all()
    deliver(car, [Telemetry(timestamp=NOW, speed=1)])
    with CaptureQueriesContext(connection) as queries:
        drain_all()
    assert not [query for query in queries.captured_queries if "further" in query["sql"]]
    assert further(car) is None


def test_a_push_brings_them_and_hides_nothing_of_ours(car: Car) -> None:
    update = vehicle_state.Update(
        1, 2, "van", "VIN", 3_000_000, 3_000_000, {"speed": 4.0}, [], "verified",
        {"fruiting.temp": 24.5, "speed": 99.0, "motion": 1.0, "timestamp": 0.0},
    )  # fmt: skip
    told = orjson.loads(_forms(update, datetime.now(UTC))[0])
    assert told["fruiting.temp"] == 24.5
    assert (told["speed"], told["motion"], told["timestamp"]) == (4.0, "offline", 3.0)


def test_gauges_and_the_list_of_charts(car: Car, visitor: Client) -> None:
    SensorType.objects.create(
        fleet=car.vehicle.fleet, type="fruiting.temp", label="Fruiting room", unit="°C", decimals=1
    )
    deliver(car, [reading(NOW - 5, fruiting_temp=24.54, old_one=1), Telemetry(timestamp=NOW, speed=3)])
    drain_all()
    text = visitor.get(car.vehicle.get_absolute_url()).content.decode()
    assert 'data-signal="fruiting.temp" data-digits="1"' in text
    assert "<h3>Fruiting room</h3>" in text
    assert "24.5</span> <small>°C</small>" in text
    assert '<option value="fruiting.temp" data-label="Fruiting room" data-unit="°C" data-digits="1">' in text
    assert "<h3>Old one</h3>" in text


def test_a_stale_value_is_no_gauge(car: Car, visitor: Client) -> None:
    deliver(car, [reading(NOW - 7200, fruiting_temp=24.54), Telemetry(timestamp=NOW, speed=3)])
    drain_all()
    assert "fruiting" not in visitor.get(car.vehicle.get_absolute_url()).content.decode().lower()


@pytest.mark.parametrize("name", ["fruiting.temp", "0", "it's", 'quo"te', "ünï", "a b", "$.x", "%s"])
def test_they_can_be_charted(car: Car, visitor: Client, name: str) -> None:
    rows = [Telemetry(timestamp=NOW - n, speed=3) for n in range(10, 20)]
    rows += [Telemetry(timestamp=NOW - n, extra={name: n}) for n in range(10)]
    rows[0].labels[name] = "a word"
    deliver(car, rows)
    drain_all()
    address = f"{car.vehicle.get_absolute_url()}charts"
    answer = orjson.loads(visitor.get(address, {"signals": f"speed,{name},nonsense"}).content)
    assert set(answer["signals"]) == {"speed", name}
    assert answer["signals"][name]["values"] == [float(n) for n in reversed(range(10))]
    assert answer["signals"][name]["sent"] == [1] * 10
