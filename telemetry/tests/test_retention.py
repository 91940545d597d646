"""Records by fleet: months made anew without those that their fleet does not keep, and late ones that are not kept."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from fleet.audit import SYSTEM
from fleet.journeys import triprules
from fleet.models import Fleet, Retention, Trip, VehicleState
from fleet.privacy.retention import Limits, change, first_kept, records_kept
from telemetry import partitions, retention, store
from telemetry.derivation import activity
from telemetry.frames import Record, to_us
from telemetry.models import Frame, TelemetryRecord
from tests.deliveries import deliver, drain_all
from tests.drives import START
from tests.rules import at
from tests.world import Car, make_car

NOW = datetime(2031, 11, 20, 12, tzinfo=UTC)
MONTHS = [datetime(2031, month, 10, tzinfo=UTC) for month in (8, 9, 10)]


def stored(car: Car, moments: list[datetime], count: int = 1) -> None:
    partitions.ensure({partitions.month_of(to_us(moment)) for moment in moments})
    store.write(
        [
            Record(car.vehicle.pk, car.device.pk, to_us(moment), to_us(moment), 1, number, 0, 0, {})
            for moment in moments
            for number in range(count)
        ]
    )


def limit(car: Car, months: int | None) -> None:
    assert change(SYSTEM, car.vehicle.fleet, Limits(records_months=months))


def months_of(car: Car) -> list[int]:
    rows = TelemetryRecord.objects.filter(vehicle=car.vehicle).order_by("time")
    return [row.time.month for row in rows]


def test_only_the_fleet_with_the_limit_loses_its_months(db: None) -> None:
    short, other, longer = make_car("short"), make_car("other"), make_car("longer")
    for car in (short, other, longer):
        stored(car, MONTHS)
    limit(short, 1)
    limit(longer, 3)
    retention.keep(NOW)
    assert (months_of(short), months_of(other), months_of(longer)) == ([10], [8, 9, 10], [8, 9, 10])
    retention.keep(NOW + timedelta(days=31))
    assert (months_of(short), months_of(other), months_of(longer)) == ([], [8, 9, 10], [9, 10])


@pytest.mark.postgres
class TestPartitions:
    def test_a_month_of_expired_fleets_alone_vanishes(self, db: None) -> None:
        car = make_car("short")
        stored(car, MONTHS)
        limit(car, 1)
        assert retention.keep(NOW) == ["telemetry_data_2031_08", "telemetry_data_2031_09"]
        assert [name for name in partitions.existing() if "2031" in name] == ["telemetry_data_2031_10"]
        assert retention.keep(NOW) == []

    def test_a_shared_month_is_another_table_with_the_same_rules(self, db: None) -> None:
        short, other = make_car("short"), make_car("other")
        for car in (short, other):
            stored(car, MONTHS[:1])
        limit(short, 1)
        before = table_of("telemetry_data_2031_08")
        assert retention.keep(NOW) == ["telemetry_data_2031_08"]
        assert table_of("telemetry_data_2031_08") != before
        stored(other, [MONTHS[0] + timedelta(days=20)])
        with pytest.raises(Exception, match="duplicate key"):
            stored(other, MONTHS[:1])

    def test_nothing_is_made_anew_without_a_reason(self, db: None) -> None:
        short, other = make_car("short"), make_car("other")
        stored(other, MONTHS)
        limit(short, 1)
        before = table_of("telemetry_data_2031_08")
        assert retention.keep(NOW) == []
        assert table_of("telemetry_data_2031_08") == before

    def test_the_same_month_again(self, db: None) -> None:
        cars = [make_car(f"fleet-{number}") for number in range(3)]
        for car in cars:
            stored(car, MONTHS[:1])
        for car in cars[:2]:
            limit(car, 1)
            assert retention.keep(NOW) == ["telemetry_data_2031_08"]
        assert [months_of(car) for car in cars] == [[], [], [8]]


def table_of(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::regclass::oid", [name])
        return int(cursor.fetchone()[0])


class TestLate:
    def test_older_than_the_limit_is_acknowledged_and_not_kept(
        self, car: Car, caplog: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        limit(car, 1)
        old = time.time() - 100 * 86_400
        receipt = deliver(car, [at(old - START, speed=1.0), at(time.time() - START - 5, speed=2.0)])
        assert receipt.accepted == 2
        caplog.set_level("INFO", "telemetry.drain")
        with django_capture_on_commit_callbacks(execute=True):
            drain_all()
        assert [row.speed_kmh for row in TelemetryRecord.objects.all()] == [2.0]
        assert not Frame.objects.exists()
        assert "1 records older than its fleet keeps" in caplog.text

    def test_a_car_that_sends_only_old_ones_was_heard_of(self, car: Car) -> None:
        limit(car, 1)
        deliver(car, [at(time.time() - START - 5, speed=2.0)])
        drain_all()
        VehicleState.objects.update(received_at=timezone.now() - timedelta(hours=1))
        deliver(car, [at(time.time() - START - 100 * 86_400, speed=1.0)])
        drain_all()
        state = VehicleState.objects.get()
        assert timezone.now() - state.received_at < timedelta(minutes=1) and state.speed_kmh == 2.0

    def test_a_fleet_without_a_limit_keeps_it(self, car: Car) -> None:
        deliver(car, [at(time.time() - START - 100 * 86_400, speed=1.0)])
        drain_all()
        assert TelemetryRecord.objects.count() == 1

    def test_the_servers_limit_holds_for_all(self, car: Car, settings: Any) -> None:
        settings.TELEMETRY_RETENTION_MONTHS = 1
        deliver(car, [at(time.time() - START - 100 * 86_400, speed=1.0)])
        drain_all()
        assert not TelemetryRecord.objects.exists()


def test_a_fleets_limit_is_never_beyond_the_servers(db: None, settings: Any) -> None:
    one, two = (make_car(name).vehicle.fleet for name in ("one", "two"))
    settings.TELEMETRY_RETENTION_MONTHS = 6
    Retention.objects.create(fleet=one, records_months=2)
    Retention.objects.create(fleet=two, records_months=24)
    kept = records_kept(NOW, [one.pk, two.pk])
    assert kept == {one.pk: first_kept(NOW, 2), two.pk: first_kept(NOW, 6)}


def test_days_before_the_limit_are_not_counted_anew(car: Car) -> None:
    from fleet.ranges import Range

    limit(car, 1)
    old = timezone.now() - timedelta(days=100)
    fresh = timezone.now() - timedelta(days=1)
    asked = {
        (car.vehicle.pk, moment.date()): Range(car.vehicle.pk, moment, moment + timedelta(days=1))
        for moment in (old, fresh)
    }
    deliver(car, [at(fresh.timestamp() + 60 - START, speed=2.0)])
    drain_all()
    assert list(activity.count(asked)) == [(car.vehicle.pk, fresh.date())]


def test_trips_whose_records_are_gone_outlive_other_rules(car: Car) -> None:
    from dataclasses import replace

    from fleet.journeys.tripfinder import TripSettings
    from tests.deliveries import derive_all

    begun = time.time() - 100 * 86_400
    drive = [at(begun - START + second, speed=60.0 if second < 600 else 0.0) for second in range(0, 1200, 5)]
    deliver(car, drive)
    drain_all()
    derive_all()
    assert Trip.objects.count() == 1
    limit(car, 1)
    retention.keep(timezone.now())
    assert not TelemetryRecord.objects.exists()
    triprules.change(SYSTEM, Fleet.objects.get(), replace(TripSettings(), least_m=100.0))
    for shard in range(2):
        from telemetry.derivation.derive import derive
        from telemetry.derivation.touched import PACED

        derive(shard, lane=PACED)
    assert Trip.objects.count() == 1
