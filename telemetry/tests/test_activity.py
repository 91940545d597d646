"""What statistics know of telemetry: counted from history, seldom asked for, never missed."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings as DjangoSettings

from fleet.aggregation import rollups
from fleet.models import Fleet, FleetDay, TouchedDay, VehicleDay
from telemetry import store
from telemetry.derivation import activity
from telemetry.frames import Record, to_us
from telemetry.partitions import ensure, month_of
from tests.deliveries import deliver, drain_all
from tests.drives import START, drive, encode
from tests.world import Car

MIDNIGHT = datetime(2026, 9, 21, 22, tzinfo=UTC).timestamp()
"""In Berlin."""


@pytest.fixture
def car(car: Car) -> Car:
    Fleet.objects.update(time_zone="Europe/Berlin")
    return car


def counted() -> dict[date, int]:
    return dict(VehicleDay.objects.order_by("day").values_list("day", "records"))


def sum_up(later_s: float = 0.0) -> None:
    """All that is due now, or would be due later."""
    rollups.keep_up(timezone.now() + timedelta(seconds=later_s))


def test_records_are_counted_on_the_days_of_the_fleet(car: Car) -> None:
    readings = drive(30, start=MIDNIGHT - 10)
    deliver(car, encode(car.vin, readings))
    drain_all()
    sum_up()
    assert counted() == {date(2026, 9, 21): 10, date(2026, 9, 22): 20}
    assert FleetDay.objects.filter(active_vehicles=1).count() == 2


def test_repeated_and_late_records_change_nothing_and_everything(car: Car) -> None:
    messages = encode(car.vin, drive(40))
    deliver(car, [*messages[30:], *messages[:10]])
    drain_all()
    sum_up()
    deliver(car, messages)
    drain_all()
    sum_up()
    sum_up(activity.STRETCH_S + activity.GRACE_S + 1)
    assert list(counted().values()) == [40]
    assert not TouchedDay.objects.exists()


def test_a_stretch_is_one_row_however_many_drains(car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
    """Committed and remembered: the next drains of the stretch ask the database nothing."""
    monkeypatch.setattr(transaction, "on_commit", lambda act: act())
    messages = encode(car.vin, drive(30))
    for first in (0, 10, 20):
        deliver(car, messages[first : first + 10])
        drain_all()
    day = datetime.fromtimestamp(START, UTC).date()
    touched = TouchedDay.objects.filter(vehicle=car.vehicle, day=day, part="activity")
    assert sorted(bool(slot) for slot in touched.values_list("slot", flat=True)) == [False, True]
    sum_up()
    assert list(counted().values()) == [30]
    assert TouchedDay.objects.count() == 1, "the end of the stretch is still to come"


def test_what_a_stretch_remembers_is_due_only_after_it(monkeypatch: pytest.MonkeyPatch, car: Car) -> None:
    monkeypatch.setattr(transaction, "on_commit", lambda act: act())
    for moment in (1_000_000.0, 1_000_199.9, 1_000_200.0):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        activity.note([(car.vehicle.pk, "2026-11-20")])
    slots = set(TouchedDay.objects.values_list("slot", flat=True))
    assert slots == {0, 1_000_260, 1_000_560}


def test_what_was_rolled_back_is_not_remembered(car: Car) -> None:
    activity.note([(car.vehicle.pk, "2026-11-20")])  # the test's own transaction never commits
    assert not activity.noted.ever and TouchedDay.objects.count() == 2


def test_days_whose_records_were_dropped_keep_their_number(car: Car, settings: DjangoSettings) -> None:
    now = timezone.now()
    old, new = now - timedelta(days=100), now - timedelta(days=1)
    ensure({month_of(to_us(old)), month_of(to_us(new))})
    store.write([_record(car, old), _record(car, new)])
    touches: Any = [(car.vehicle.pk, moment.astimezone(UTC).date().isoformat()) for moment in (old, new)]
    activity.note(touches)
    sum_up()
    settings.TELEMETRY_RETENTION_MONTHS = 1
    VehicleDay.objects.update(records=7)
    activity.noted.__init__()  # type: ignore[misc]
    activity.note(touches)
    sum_up()
    assert sorted(counted().values()) == [1, 7]


def _record(car: Car, moment: datetime) -> Record:
    us = to_us(moment)
    return Record(car.vehicle.pk, car.device.pk, us, us, 1, 1, 0, 0, {})
