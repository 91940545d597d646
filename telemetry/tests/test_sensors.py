"""GET /api/v1/sensor/…, by a client written from its document alone; then paging, thinning, bounds."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.test import Client

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.models import SensorType, Vehicle
from telemetry import partitions, sensors
from telemetry.models import Quality, TelemetryRecord
from tests.deliveries import deliver, drain_all
from tests.world import Car, make_car

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
SPEED = 1 << 6


def written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def get(car: Car, more: str = "", status: int = 200, **query: Any) -> Any:
    address = more if more.startswith("http") else f"/api/v1/sensor/{car.device.slug}{more}"
    answer = Client().get(address, query or None, headers={"Authorization": f"Bearer {car.token}"})
    assert answer.status_code == status, answer.content
    return answer.json()


def rows(vehicle: Vehicle, begin: datetime, count: int, step_s: float = 1, **columns: Any) -> None:
    """Speed n % 50, temperature n % 7, a row every `step_s`."""
    partitions.ensure([(begin.year, begin.month)])
    TelemetryRecord.objects.bulk_create(
        [
            TelemetryRecord(
                vehicle=vehicle, device_id=1, time=at, received_at=at, stream_id=7, sequence=n, sent=SPEED,
                quality=Quality.VERIFIED, **({"speed_kmh": float(n % 50), "extra": {"fruiting.temp": n % 7}} | columns),
            )
            for n in range(count)
            for at in [begin + timedelta(seconds=n * step_s)]
        ],
        batch_size=2000,
    )  # fmt: skip


def everything(car: Car, **query: Any) -> list[tuple[str, str, float]]:
    found, page = [], get(car, "/history", **query)
    while True:
        found += [(each["timestamp"], each["sensor_type"], each["value"]) for each in page["readings"]]
        if page["next"] is None:
            return found
        page = get(car, page["next"])


@time_machine.travel(NOON, tick=False)
def test_the_newest_of_every_type(car: Car) -> None:
    SensorType.objects.create(fleet=car.vehicle.fleet, type="fruiting.temp", unit="°C")
    begin = NOON.timestamp()
    deliver(car, [Telemetry(timestamp=begin - 60, extra={"fruiting.temp": 24.5, "co2": 800})])
    deliver(car, [Telemetry(timestamp=begin - 10, speed=65, battery=85.5)])
    drain_all()
    told = get(car)
    assert told["sensor_id"] == car.device.slug
    assert [(each["sensor_type"], each["value"], each["unit"], each["age_s"]) for each in told["readings"]] == [
        ("battery", 85.5, "%", 10.0), ("co2", 800.0, None, 60.0), ("fruiting.temp", 24.5, "°C", 60.0),
        ("speed", 65.0, "km/h", 10.0),
    ]  # fmt: skip
    one = get(car, "/battery")
    assert (one["sensor_id"], one["sensor_type"], one["value"], one["unit"]) == (
        car.device.slug,
        "battery",
        85.5,
        "%",
    )
    assert one["timestamp"] == "2026-06-10T11:59:50Z"
    assert get(car, "/fruiting.temp")["value"] == 24.5
    get(car, "/nonsense", status=404)


def test_a_sensor_by_other_names_and_of_others(car: Car) -> None:
    headers = {"Authorization": f"Bearer {car.token}"}
    for name in (car.vehicle.slug, car.vin):
        assert Client().get(f"/api/v1/sensor/{name}", headers=headers).json() == {
            "sensor_id": name,
            "readings": [],
        }
    other = make_car("elsewhere")
    for name in (other.device.slug, other.vehicle.slug, other.vin, "%00", "nobody"):
        assert Client().get(f"/api/v1/sensor/{name}", headers=headers).status_code == 404


@pytest.mark.parametrize("limit", [1, 7, 50, 1000])
def test_paging_covers_every_reading_once(car: Car, limit: int) -> None:
    rows(car.vehicle, NOON, 40)
    begin, end = NOON.isoformat(), (NOON + timedelta(seconds=40)).isoformat()
    found = everything(car, start_time=begin, end_time=end, limit=limit)
    assert len(found) == len(set(found)) == 80
    assert found == sorted(found)
    assert found[:2] == [(written(NOON), "fruiting.temp", 0), (written(NOON), "speed", 0.0)]


def test_paging_while_rows_are_added(car: Car) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        rows(car.vehicle, NOON - timedelta(minutes=5), 100)
        found, page = [], get(car, "/history", limit=30)
        added = 100
        while True:
            found += [(each["timestamp"], each["sensor_type"]) for each in page["readings"]]
            if page["next"] is None:
                break
            if added < 150:
                at = NOON - timedelta(minutes=5) + timedelta(seconds=added)
                TelemetryRecord.objects.create(
                    vehicle=car.vehicle, device_id=1, time=at, received_at=at, stream_id=7, sequence=added,
                    sent=SPEED, quality=0, speed_kmh=1.0, extra={"fruiting.temp": 1},
                )  # fmt: skip
                added += 1
                clock.shift(5)
            page = get(car, page["next"])
    assert len(found) == len(set(found)) == 2 * added > 200


def test_records_of_one_moment_are_paged_too(car: Car) -> None:
    rows(car.vehicle, NOON, 30, step_s=0)
    found = everything(car, start_time=NOON.timestamp(), end_time=NOON.timestamp() + 1, limit=7, type="speed")
    assert [value for _, _, value in found] == [float(n) for n in range(30)]


def test_a_rare_type_is_found_in_short_pages(car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "SCANNED_ROWS", 500)
    rows(car.vehicle, NOON, 3000)
    TelemetryRecord.objects.filter(sequence=2900).update(extra={"rare": 5})
    period: dict[str, Any] = {"start_time": NOON.timestamp(), "end_time": NOON.timestamp() + 3000}
    assert get(car, "/history", type="rare", **period)["readings"] == []
    assert [value for _, _, value in everything(car, type="rare", **period)] == [5]


def test_the_types_asked_for(car: Car) -> None:
    rows(car.vehicle, NOON, 10)
    period: dict[str, Any] = {"start_time": NOON.timestamp(), "end_time": NOON.timestamp() + 10}
    assert {kind for _, kind, _ in everything(car, type="speed", **period)} == {"speed"}
    assert len(everything(car, type="fruiting.temp,speed,nonsense", **period)) == 20


@pytest.mark.parametrize("finder", ["here", "the database"])
def test_thinning_keeps_the_extremes(car: Car, monkeypatch: pytest.MonkeyPatch, finder: str) -> None:
    if finder == "the database":
        monkeypatch.setattr(sensors, "CELLS", 1000)
    rows(car.vehicle, NOON, 20_000)
    TelemetryRecord.objects.filter(sequence=12_345).update(speed_kmh=180.0)
    TelemetryRecord.objects.filter(sequence=777).update(speed_kmh=-9.0, extra={"fruiting.temp": -40})
    period: dict[str, Any] = {
        "start_time": NOON.isoformat(),
        "end_time": (NOON + timedelta(seconds=20_000)).isoformat(),
    }
    told = get(car, "/history", points=500, type="speed,fruiting.temp", **period)
    speeds = [each for each in told["readings"] if each["sensor_type"] == "speed"]
    temperatures = [each["value"] for each in told["readings"] if each["sensor_type"] == "fruiting.temp"]
    assert (told["next"], told["sampled"]) == (None, False)
    assert 300 <= len(speeds) <= 500
    assert {180.0, -9.0} <= {each["value"] for each in speeds}
    assert -40 in temperatures
    peak = next(each for each in speeds if each["value"] == 180.0)
    assert peak["timestamp"] == written(NOON + timedelta(seconds=12_345))


def test_a_long_period_is_sampled_and_says_so(
    car: Car, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(sensors, "CELLS", 1000)
    monkeypatch.setattr(sensors, "SUMMED_ROWS", 4000)
    rows(car.vehicle, NOON, 5000)
    period: dict[str, Any] = {"start_time": NOON.timestamp(), "end_time": NOON.timestamp() + 5000}
    with django_assert_max_num_queries(sensors.SLICES + 6):
        told = get(car, "/history", points=100, type="speed", **period)
    assert told["sampled"] is True
    times = [datetime.fromisoformat(each["timestamp"]) for each in told["readings"]]
    assert min(times) < NOON + timedelta(seconds=100)
    assert max(times) > NOON + timedelta(seconds=4700)


def test_summary(car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
    rows(car.vehicle, NOON, 100)
    period: dict[str, Any] = {"start_time": NOON.timestamp(), "end_time": NOON.timestamp() + 100}
    told = get(car, "/summary", type="speed,fruiting.temp,nonsense", **period)
    assert told["summary"] == [
        {"sensor_type": "speed", "min": 0, "max": 49, "mean": 24.5, "count": 100, "unit": "km/h"},
        {
            "sensor_type": "fruiting.temp", "min": 0, "max": 6, "count": 100, "unit": None,
            "mean": pytest.approx(sum(n % 7 for n in range(100)) / 100),
        },
    ]  # fmt: skip
    monkeypatch.setattr(sensors, "SUMMED_ROWS", 50)
    refused = get(car, "/summary", type="speed", status=400, **period)
    assert refused["errors"][0]["field"] == "start_time"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"start_time": "noon"}, "start_time"),
        ({"end_time": "-1e99"}, "end_time"),
        ({"start_time": "2026-06-10", "end_time": "2026-06-09"}, "start_time"),
        ({"limit": 0}, "limit"),
        ({"limit": 5000}, "limit"),
        ({"points": 1}, "points"),
        ({"cursor": "rubbish"}, "cursor"),
        ({"cursor": "WzEsMl0="}, "cursor"),
        ({"type": ",".join(map(str, range(50)))}, "type"),
    ],
)
def test_wrong_questions(car: Car, query: dict[str, Any], field: str) -> None:
    assert get(car, "/history", status=400, **query)["errors"][0]["field"] == field


def test_the_plus_of_a_zone_may_be_lost_on_the_way(car: Car) -> None:
    rows(car.vehicle, NOON, 3)
    address = "/history?start_time=2026-06-10T14:00:00+02:00&end_time=2026-06-10T12:00:02Z&type=speed"
    assert len(get(car, address)["readings"]) == 2


def test_what_each_costs(car: Car, django_assert_max_num_queries: Any) -> None:
    """Token (cached later), device, catalogue, rows; a second look where the first page did not suffice."""
    rows(car.vehicle, NOON, 500)
    get(car)
    period: dict[str, Any] = {"start_time": NOON.timestamp(), "end_time": NOON.timestamp() + 500}
    for path, queries in (("", 2), ("/speed", 2), ("/history", 4), ("/summary", 4)):
        with django_assert_max_num_queries(queries):
            Client().get(
                f"/api/v1/sensor/{quote(car.device.slug)}{path}",
                period,
                headers={"Authorization": f"Bearer {car.token}"},
            )


def test_late_and_shuffled_records_give_the_same_history(car: Car) -> None:
    messages = [
        Telemetry(timestamp=NOON.timestamp() - 86_400 + n, speed=n, extra={"a.b": n / 2}) for n in range(60)
    ]
    other = make_car("elsewhere")
    deliver(car, messages)
    drain_all()
    random.Random(2).shuffle(messages)
    for message in messages * 2:
        deliver(other, [message])
        drain_all()
    period: dict[str, Any] = {"start_time": NOON.timestamp() - 86_400, "end_time": NOON.timestamp()}
    assert everything(car, **period) == everything(other, **period)
    assert len(everything(car, **period)) == 120
