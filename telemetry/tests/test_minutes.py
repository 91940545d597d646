"""Minutes and hours of stored records: what a plain computation says, whatever came when."""

import random
import time
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings as DjangoSettings

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.aggregation import kept, rebuild, rollups
from fleet.aggregation.columns import MOVED, SEEN, TOLD
from fleet.models import (
    Fleet,
    FleetHour,
    FleetMinute,
    TouchedDay,
    TouchedSlice,
    VehicleDay,
    VehicleHour,
    VehicleMinute,
)
from telemetry.derivation import minutes
from telemetry.derivation.touched import Span
from telemetry.models import TelemetryRecord
from telemetry.tests.test_drain_faults import statements
from tests.deliveries import deliver, derive_all, drain_all, time_is_up
from tests.demo_drives import recorded
from tests.drives import START
from tests.rules import at
from tests.world import Car, make_car

BEGIN = START - 1_200
"""A quarter of an hour before a full hour."""


@pytest.fixture(autouse=True)
def kept_for_ever(settings: DjangoSettings) -> None:
    settings.TELEMETRY_GAP_WAIT_S = 0.0
    settings.MINUTE_ROLLUP_DAYS = settings.HOUR_ROLLUP_DAYS = 0


def sum_up() -> None:
    derive_all()
    while rollups.keep_up(timezone.now() + timedelta(hours=1)):
        pass
    assert not TouchedSlice.objects.exists() and not TouchedDay.objects.exists()


def send(car: Car, *messages: Telemetry) -> None:
    deliver(car, messages)
    drain_all()


def picture(car: Car) -> dict[str, list[Any]]:
    """Every column of every row, but ids."""
    found: dict[str, list[Any]] = {}
    for model, moment in (
        (VehicleMinute, "minute"),
        (VehicleHour, "hour"),
        (FleetMinute, "minute"),
        (FleetHour, "hour"),
    ):
        names = [
            f.name for f in model._meta.local_concrete_fields if f.name not in {"id", "vehicle", "fleet"}
        ]
        found[model.__name__] = list(
            model.objects.filter(fleet=car.vehicle.fleet).order_by(moment).values(*names)
        )
    return found


def naive(car: Car) -> dict[datetime, Counter[str]]:
    """By minute, record by record."""
    found: dict[datetime, Counter[str]] = defaultdict(Counter)
    rows = list(TelemetryRecord.objects.filter(vehicle=car.vehicle).order_by("time", "stream_id", "sequence"))
    for before, row in pairwise([None, *rows]):
        assert row
        sums = found[row.time.replace(second=0, microsecond=0)]
        sums["records"] += 1
        sums["top_speed_mm_s"] = max(sums["top_speed_mm_s"], round(abs(row.speed_kmh or 0.0) / 0.0036))
        if row.battery_percent is not None:
            sums["charge"] = round(row.battery_percent * 100)
        step = round((row.time - before.time).total_seconds() * 1000) if before else 60_001
        if step > 60_000:
            continue
        speed, power = abs(row.speed_kmh or 0.0), row.power_kw or 0.0
        sums["used_j" if power > 0 else "returned_j"] += round(abs(power) * step)
        if speed >= 3.6:
            sums["timed_ms"] += step
            sums["moved_mm"] += round(speed * step / 3.6)
        elif row.ignition:
            sums["standing_ms"] += step
    return found


def test_any_order_of_a_real_drive_gives_the_same_rows(db: None) -> None:
    pictures = []
    for turn in range(3):
        chance = random.Random(turn)
        car = make_car(f"shuffled-{turn}", "car")
        messages = recorded(car, 1_000, BEGIN)
        batches = [messages[place : place + 90] for place in range(0, len(messages), 90)]
        if turn:
            chance.shuffle(batches)
            batches += batches[:2]
        for one in batches:
            send(car, *one)
            if turn and chance.random() < 0.5:
                sum_up()
        time_is_up()
        drain_all()
        sum_up()
        pictures.append(picture(car))
        assert_right(car)
    assert pictures[0] == pictures[1] == pictures[2]
    assert len(pictures[0]["VehicleMinute"]) > 15 and len(pictures[0]["VehicleHour"]) == 2


def assert_right(car: Car) -> None:
    wanted = naive(car)
    rows = {row.minute: row for row in VehicleMinute.objects.filter(vehicle=car.vehicle)}
    assert rows.keys() == wanted.keys()
    for minute, row in rows.items():
        for name in ("records", "timed_ms", "standing_ms", "top_speed_mm_s", "charge"):
            assert getattr(row, name) == wanted[minute][name], (minute, name)
        for name in ("moved_mm", "used_j", "returned_j"):  # halves are rounded one way or the other
            assert getattr(row, name) == pytest.approx(wanted[minute][name], abs=60), (minute, name)
    assert sum(row.moved_mm for row in rows.values()) > 1_000_000
    assert_adding_up(car)


def assert_adding_up(car: Car) -> None:
    """Hours from minutes, the fleet from its one vehicle, the day from its hours."""
    hours = list(VehicleHour.objects.filter(vehicle=car.vehicle))
    for hour in hours:
        mine = VehicleMinute.objects.filter(
            vehicle=car.vehicle, minute__gte=hour.hour, minute__lt=hour.hour + timedelta(hours=1)
        ).order_by("minute")
        for name in TOLD[:-2]:
            assert getattr(hour, name) == sum(getattr(one, name) for one in mine), name
        assert hour.top_speed_mm_s == max(one.top_speed_mm_s for one in mine)
        assert hour.charge == [one.charge for one in mine if one.charge is not None][-1]
        ours = FleetHour.objects.get(fleet=car.vehicle.fleet, hour=hour.hour)
        assert all(getattr(ours, name) == getattr(hour, name) for name in (*SEEN, *MOVED))
        assert ours.active_vehicles == 1
    assert FleetMinute.objects.filter(fleet=car.vehicle.fleet, active_vehicles=1).count() == len(
        VehicleMinute.objects.filter(vehicle=car.vehicle)
    )
    days = VehicleDay.objects.filter(vehicle=car.vehicle)
    for name in SEEN:
        assert sum(getattr(day, name) for day in days) == sum(getattr(hour, name) for hour in hours), name


def test_what_a_late_record_changes_in_the_next_minute(car: Car) -> None:
    """Its step ends at a record of the next five minutes."""
    second = 300 - START % 300  # the first of a slice
    send(car, at(second - 40, speed=36.0), at(second + 10, speed=36.0))
    sum_up()
    before, after = VehicleMinute.objects.order_by("minute")
    assert (before.moved_mm, after.moved_mm) == (0, 500_000)
    send(car, at(second - 5, speed=72.0))
    sum_up()
    before, after = VehicleMinute.objects.order_by("minute")
    assert (before.moved_mm, after.moved_mm, before.records) == (700_000, 150_000, 2)


def test_what_cannot_be_known_is_not_counted(car: Car) -> None:
    send(car, at(0, speed=50.0), at(61, speed=50.0), at(71, speed=-7.2))
    send(car, at(81, speed=300.0), at(91, speed=0.0), at(101, speed=0.0, ignition=1.0))
    sum_up()
    hour = VehicleHour.objects.get()
    assert (hour.records, hour.moved_mm, hour.timed_ms, hour.standing_ms) == (6, 20_000, 10_000, 10_000)
    assert (hour.used_j, hour.returned_j, hour.charge) == (0, 0, None)
    assert hour.top_speed_mm_s == round(50 / 0.0036)


def test_energy_out_of_the_battery_and_into_it(car: Car) -> None:
    send(car, *(at(n * 10, speed=36.0, power=12.0, battery=50.0 - n) for n in range(4)))
    send(car, *(at(40 + n * 10, speed=0.0, power=-8.0, battery=47.0) for n in range(3)))
    sum_up()
    hour = VehicleHour.objects.get()
    assert (hour.used_j, hour.returned_j, hour.charge) == (12 * 30_000, 8 * 30_000, 4_700)


def test_an_upload_of_hours_touches_days(car: Car) -> None:
    send(car, *(at(n * 60, speed=36.0) for n in range(300)))
    derive_all()
    assert not TouchedSlice.objects.exists()
    assert TouchedDay.objects.filter(part="minutes").count() == 1
    sum_up()
    assert VehicleMinute.objects.count() == 300 and VehicleHour.objects.count() == 6
    assert VehicleHour.objects.filter(records=60).count() == 4


def test_a_stretch_asks_the_database_once(car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "on_commit", lambda act: act())
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    spans = [Span(car.vehicle.pk, 1_790_000_010_000_000, 1_790_000_020_000_000, 1, None)]
    asked = [statements(lambda: minutes.consume(spans)) for _ in range(2)]
    assert asked == [2, 0]
    assert TouchedSlice.objects.get().slot == 1_800_000_060 + minutes.GRACE_S


def test_hours_older_than_minutes_come_from_records(car: Car, settings: DjangoSettings) -> None:
    messages = recorded(car, 900, BEGIN)
    send(car, *messages)
    time_is_up()
    drain_all()
    sum_up()
    before = picture(car)
    settings.MINUTE_ROLLUP_DAYS = 1
    assert kept.prune(timezone.now()) == len(before["VehicleMinute"]) + len(before["FleetMinute"])
    assert not VehicleMinute.objects.exists() and not FleetMinute.objects.exists()
    VehicleHour.objects.all().delete()
    rebuild.ask_for([car.vehicle.fleet_id])
    sum_up()
    after = picture(car)
    assert not after["VehicleMinute"] and after["VehicleHour"] == before["VehicleHour"]
    assert after["FleetHour"] == before["FleetHour"]
    settings.HOUR_ROLLUP_DAYS = 2
    kept.prune(timezone.now())
    rebuild.ask_for([car.vehicle.fleet_id])
    sum_up()
    assert not VehicleHour.objects.exists() and not FleetHour.objects.exists()
    assert VehicleDay.objects.exists()


@pytest.mark.parametrize(
    ("zone", "opens"),
    [("Asia/Kolkata", ":30:00+00:00"), ("Asia/Kathmandu", ":15:00+00:00"), ("UTC", ":00:00+00:00")],
)
def test_hours_begin_when_the_fleets_clock_says_so(car: Car, zone: str, opens: str) -> None:
    send(car, *recorded(car, 600, BEGIN))
    time_is_up()
    drain_all()
    sum_up()
    Fleet.objects.update(time_zone=zone)
    sum_up()
    hours = VehicleHour.objects.order_by("hour")
    assert hours and all(row.hour.isoformat().endswith(opens) for row in hours)
    assert sum(row.records for row in hours) == 600 == sum(row.records for row in FleetHour.objects.all())
    assert list(VehicleHour.objects.values_list("hour")) == list(FleetHour.objects.values_list("hour"))
