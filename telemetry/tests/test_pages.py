"""Track, charts and compression of the vehicle page: right values, bounded size, only for members."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import time_machine
from django.test import Client

from edge.protocol.signals import BY_NAME, SIGNALS, mask_of
from fleet.models import Fleet, Membership, User, Vehicle
from fleet.readings import READINGS
from telemetry import partitions
from telemetry.models import CompressionStat, Quality, TelemetryRecord
from telemetry.pages import period
from telemetry.pages.thinning import Sample, line, silence_after, thin

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
BASE = "/vehicles/north/van-1/"
SPEED, BATTERY = BY_NAME["speed"].number, BY_NAME["battery"].number


@pytest.fixture
def vehicle(db: None) -> Vehicle:
    partitions.ensure([(NOON.year, NOON.month)])
    fleet = Fleet.objects.create(slug="north", name="North", time_zone="America/New_York")
    return Vehicle.objects.create(fleet=fleet, slug="van-1", name="Van 1")


@pytest.fixture
def member(client: Client, vehicle: Vehicle) -> User:
    user = User.objects.create_user("viewer@example.com", "secret")
    Membership.objects.create(fleet=vehicle.fleet, user=user)
    client.force_login(user)
    return user


def record(vehicle: Vehicle, time: datetime, sequence: int, **columns: Any) -> TelemetryRecord:
    columns.setdefault("quality", Quality.VERIFIED)
    columns.setdefault("sent", mask_of([SPEED]))
    return TelemetryRecord(
        vehicle=vehicle, device_id=1, time=time, received_at=time, stream_id=7, sequence=sequence, **columns
    )


def drive(vehicle: Vehicle, begin: datetime, seconds: int, first: int = 1) -> None:
    """A record a second, north at about 11 m/s."""
    TelemetryRecord.objects.bulk_create(
        record(
            vehicle, begin + timedelta(seconds=n), first + n,
            speed_kmh=40.0 + n % 7, battery_percent=80.0 - n / 1000, latitude_deg=52.4 + n / 10_000, longitude_deg=13.5,
        )
        for n in range(seconds)
    )  # fmt: skip


def get(client: Client, name: str, **query: str) -> Any:
    response = client.get(BASE + name, query)
    assert response.status_code == 200
    assert "private" in response["Cache-Control"]
    return orjson.loads(response.content)


@time_machine.travel(NOON, tick=False)
def test_charts_of_the_last_hour(client: Client, vehicle: Vehicle, member: User) -> None:
    drive(vehicle, NOON - timedelta(minutes=10), 60)
    drive(vehicle, NOON - timedelta(minutes=5), 60, first=61)
    drive(vehicle, NOON - timedelta(hours=3), 60, first=200)
    answer = get(client, "charts", signals="speed,battery")
    assert answer["records"] == 120
    speed, battery = answer["signals"]["speed"], answer["signals"]["battery"]
    assert speed["values"][:3] == [40.0, 41.0, 42.0]
    assert speed["values"].count(None) == 1, "the pause between the two pieces is a hole"
    assert sum(speed["sent"]) == 120
    assert sum(battery["sent"]) == 0, "reconstructed values are told apart"
    assert answer["incomplete"] == []


@time_machine.travel(NOON, tick=False)
def test_incomplete_records_are_marked(client: Client, vehicle: Vehicle, member: User) -> None:
    begin = NOON - timedelta(minutes=1)
    TelemetryRecord.objects.bulk_create(
        record(
            vehicle, begin + timedelta(seconds=n), n + 1, speed_kmh=None if 3 <= n < 6 else 10.0,
            quality=Quality.INCOMPLETE if 3 <= n < 6 else Quality.VERIFIED,
        )
        for n in range(10)
    )  # fmt: skip
    answer = get(client, "charts", signals="speed")
    assert answer["incomplete"] == [[begin.timestamp() + 3, begin.timestamp() + 5]]
    assert answer["signals"]["speed"]["values"][2:7] == [10.0, None, None, None, 10.0]


def test_an_hour_of_the_past(client: Client, vehicle: Vehicle, member: User) -> None:
    drive(vehicle, NOON, 30)
    end = (NOON + timedelta(seconds=29)).timestamp()
    assert get(client, "charts", end=str(end))["records"] == 30
    assert get(client, "charts", end="rubbish")["records"] == 0


def test_nothing_recorded(client: Client, vehicle: Vehicle, member: User) -> None:
    assert get(client, "charts", signals="speed,nonsense")["signals"] == {
        "speed": {"times": [], "values": [], "sent": []}
    }
    assert get(client, "track")["lines"] == []
    assert "Nothing received yet" in client.get(BASE + "compression").content.decode()


@time_machine.travel(NOON, tick=False)
def test_more_records_than_a_page_carries(
    client: Client, vehicle: Vehicle, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(period, "ROWS", 100)
    drive(vehicle, NOON - timedelta(minutes=30), 1000)
    answer = get(client, "charts", signals="speed")
    assert 90 <= answer["records"] <= 110
    times = answer["signals"]["speed"]["times"]
    assert times[-1] - times[0] > 950, "thinned evenly, not cut off"


def test_the_track_is_of_the_fleets_day(client: Client, vehicle: Vehicle, member: User) -> None:
    """In New York (UTC-4 in June) the day of the 10th begins at 04:00 UTC."""
    drive(vehicle, datetime(2026, 6, 10, 3, 0, tzinfo=UTC), 30)
    drive(vehicle, datetime(2026, 6, 10, 5, 0, tzinfo=UTC), 30, first=100)
    drive(vehicle, datetime(2026, 6, 11, 3, 0, tzinfo=UTC), 30, first=200)
    answer = get(client, "track", day="2026-06-10")
    assert answer["time_zone"] == "America/New_York"
    assert [len(each) for each in answer["lines"]] == [30, 30]
    assert answer["distance_km"] == pytest.approx(2 * 29 * 11.12 / 1000, abs=0.02)


@time_machine.travel(NOON, tick=False)
def test_a_jump_is_not_driven(client: Client, vehicle: Vehicle, member: User) -> None:
    drive(vehicle, NOON - timedelta(minutes=2), 30)
    drive(vehicle, NOON - timedelta(minutes=2) + timedelta(seconds=30), 30, first=31)
    assert [len(each) for each in get(client, "track", day="rubbish")["lines"]] == [30, 30]


def test_compression_today_and_in_all(client: Client, vehicle: Vehicle, member: User) -> None:
    with time_machine.travel(NOON, tick=False):
        for day, records in ((NOON.date(), 10), (NOON.date() - timedelta(days=1), 1000)):
            CompressionStat.objects.create(
                vehicle=vehicle, day=day, records=records, transmitted_readings=records, skipped_readings=3 * records,
                bytes_received=50 * records,
            )  # fmt: skip
        text = client.get(BASE + "compression").content.decode()
    assert text.count("75.0 %") == 2
    assert "1,010" in text
    assert "50 bytes" in text


@pytest.mark.parametrize("name", ["charts", "track", "compression"])
def test_only_for_members(client: Client, vehicle: Vehicle, name: str) -> None:
    assert client.get(BASE + name).status_code == 401
    client.force_login(User.objects.create_user("outsider@example.com", "secret"))
    assert client.get(BASE + name).status_code == 404


@pytest.mark.parametrize("name", ["charts", "track", "compression"])
def test_what_each_costs(
    client: Client, vehicle: Vehicle, member: User, name: str, django_assert_max_num_queries: Any
) -> None:
    drive(vehicle, NOON, 30)
    with django_assert_max_num_queries(6):
        client.get(BASE + name)


def test_thinning_keeps_every_peak() -> None:
    samples = [
        Sample(float(n), 100.0 if n == 4321 else -50.0 if n == 777 else n % 5, n % 2 == 0)
        for n in range(10_000)
    ]
    kept = thin(samples, 300)
    values = [sample.value for sample in kept]
    assert len(kept) <= 300
    assert 100.0 in values
    assert -50.0 in values
    assert kept == sorted(kept, key=lambda sample: sample.time)
    assert thin(samples[:300], 300) == samples[:300]


def test_thinning_keeps_holes() -> None:
    samples = [Sample(float(n), None if 500 <= n < 600 else 1.0, True) for n in range(1000)]
    values = [sample.value for sample in thin(samples, 100)]
    assert None in values
    assert [value for value in values if value is not None]


def test_a_pause_is_a_hole_and_the_usual_distance_is_not() -> None:
    assert silence_after([0.0, 10.0, 20.0, 30.0]) == 60.0
    assert silence_after([]) == 15.0
    found = line([Sample(0.0, 1.0, True), Sample(20.0, 2.0, False)], 15.0)
    assert found.values == [1.0, None, 2.0]
    assert found.sent == [1, 0, 0]


def test_every_signal_has_a_label() -> None:
    assert {signal.name for signal in SIGNALS} == set(READINGS)
