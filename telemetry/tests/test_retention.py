"""Records by fleet: months made anew without those that their fleet does not keep, and late ones that are not kept."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.audit import SYSTEM
from fleet.journeys import triprules
from fleet.models import DrivingEvent, Fleet, Retention, Trip, VehicleState, Visit
from fleet.privacy.retention import Limits, change, first_kept, records_kept
from telemetry import partitions, retention, store
from telemetry.derivation import activity, derive, driving_anew
from telemetry.derivation.touched import PACED
from telemetry.frames import Record, to_us
from telemetry.models import Frame, TelemetryRecord
from tests.deliveries import deliver, derive_all, drain_all
from tests.drives import START
from tests.driving import judge
from tests.fences import make_fence, place
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
        derive.derive(shard, lane=PACED)
    assert Trip.objects.count() == 1


class TestEdge:
    """What was found before records went stays as it was, whatever comes late beside it."""

    @pytest.fixture(autouse=True)
    def limited(self, car: Car, monkeypatch: pytest.MonkeyPatch) -> datetime:
        """Records of this month and of the one before are kept once `forget` ran."""
        first = first_kept(timezone.now(), 1)
        assert first
        self.first = first
        return first

    def at(self, seconds: float, **values: Any) -> Telemetry:
        """So long after the first moment that is kept."""
        return at(self.first.timestamp() - START + seconds, **values)

    def bring(self, car: Car, messages: list[Telemetry]) -> None:
        deliver(car, messages)
        drain_all()
        derive_all()

    def forget(self, car: Car) -> None:
        limit(car, 1)
        retention.keep(timezone.now())
        kept = TelemetryRecord.objects.filter(vehicle=car.vehicle).order_by("time").first()
        assert kept is None or kept.time >= self.first

    def events(self) -> list[tuple[str, float, float]]:
        return [
            (
                row.kind,
                (row.started_at - self.first).total_seconds(),
                (row.ended_at - self.first).total_seconds(),
            )
            for row in DrivingEvent.objects.order_by("started_at")
        ]

    def visits(self) -> list[tuple[float, float | None]]:
        return [
            (
                (row.entered_at - self.first).total_seconds(),
                (row.left_at - self.first).total_seconds() if row.left_at else None,
            )
            for row in Visit.objects.order_by("entered_at")
        ]

    @pytest.mark.parametrize("late", [5.0, 61.0, 290.0, 1_000.0])
    def test_driving_events(self, car: Car, late: float) -> None:
        judge(car, speed_limit_kmh=100.0)
        self.bring(car, [self.at(n, speed=120.0 if -60 <= n < 600 else 80.0) for n in range(-300, 900, 2)])
        self.bring(car, [self.at(n, speed=120.0) for n in range(2_000, 2_100, 2)])
        before = self.events()
        assert [(begin, end) for kind, begin, end in before if kind == "speeding"] == [
            (-60.0, 600.0), (2_000.0, 2_098.0),
        ]  # fmt: skip
        self.forget(car)
        self.bring(car, [self.at(late, speed=30.0), self.at(late + 0.5, speed=30.0)])
        assert self.events() == before

    def test_events_that_later_records_join_to_one_that_stays(self, car: Car) -> None:
        """Neither is lost."""
        judge(car, speed_limit_kmh=100.0)
        self.bring(car, [self.at(n, speed=120.0) for n in (*range(-60, 400, 2), *range(700, 800, 2))])
        before = [one for one in self.events() if one[0] == "speeding"]
        assert len(before) == 2
        self.forget(car)
        self.bring(car, [self.at(n, speed=120.0) for n in range(400, 700, 2)])
        assert [one for one in self.events() if one[0] == "speeding"] == before

    def test_new_limits_find_nothing_anew_before_the_edge(self, car: Car) -> None:
        judge(car, speed_limit_kmh=100.0)
        self.bring(car, [self.at(n, speed=120.0) for n in (*range(-60, 200, 2), *range(1_000, 1_100, 2))])
        assert [one[1] for one in self.events()] == [-60.0, 1_000.0]
        self.forget(car)
        settings = judge(car, speed_limit_kmh=130.0)
        settings.version += 1
        settings.save()
        driving_anew.take_up()
        derive_all()
        assert [one[1] for one in self.events()] == [-60.0]

    def test_one_that_went_on_ends_after_a_long_silence(self, car: Car) -> None:
        judge(car, speed_limit_kmh=100.0)
        self.bring(car, [self.at(n, speed=120.0) for n in range(-60, 0, 2)])
        assert DrivingEvent.objects.get().going_on
        self.forget(car)
        self.bring(car, [self.at(n, speed=50.0) for n in range(3_600, 3_700, 2)])
        assert not DrivingEvent.objects.get().going_on and self.events() == [("speeding", -60.0, -2.0)]

    def where(self, east_m: float, *seconds: float) -> list[Telemetry]:
        longitude, latitude = place(east_m, 1.0)
        return [self.at(one, latitude=latitude, longitude=longitude) for one in seconds]

    @pytest.mark.parametrize(("late", "east_m"), [(30.0, 0.0), (30.0, 400.0), (90.0, 105.0), (30.0, 105.0)])
    def test_visits(self, car: Car, late: float, east_m: float) -> None:
        """One long ago, one across the edge, one after it."""
        make_fence(car, hysteresis_m=30.0)
        day = 86_400.0
        self.bring(
            car, self.where(500, -3 * day) + self.where(0, -3 * day + 600) + self.where(500, -3 * day + 1200)
        )
        self.bring(car, self.where(0, -600, 60, 120) + self.where(500, 1_200))
        self.bring(car, self.where(0, 5_000, 5_060) + self.where(500, 6_000))
        before = self.visits()
        assert len(before) == 3 and before[1][0] < 0 < (before[1][1] or 0)
        self.forget(car)
        self.bring(car, self.where(east_m, late))
        assert self.visits() == before

    def test_a_visit_whose_records_are_kept_is_judged_anew(self, car: Car) -> None:
        make_fence(car)
        self.bring(car, self.where(0, -7_200) + self.where(500, -3_600))
        self.bring(car, self.where(500, 600) + self.where(0, 5_000, 5_060) + self.where(500, 6_000))
        before = self.visits()
        self.forget(car)
        self.bring(car, self.where(500, 5_030))
        after = self.visits()
        assert after[0] == before[0] and len(before) == 2 and len(after) == 3
