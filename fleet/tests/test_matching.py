"""Which summary tells of which detected trip; and days that count a drive once, whoever saw it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from fleet.aggregation import rollups
from fleet.journeys.matching import driven_by, summaries_of
from fleet.journeys.trips import keep
from fleet.models import DriverDay, Fleet, Trip, TripSummary, Vehicle, VehicleDay
from fleet.tests.test_rollups import told

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def van(db: None) -> Vehicle:
    fleet = Fleet.objects.create(slug="north", name="North", time_zone="UTC")
    return Vehicle.objects.create(fleet=fleet, slug="van-1", name="Van 1")


def detected(van: Vehicle, start: datetime, minutes: float = 60, km: float = 11, **values: Any) -> Trip:
    end = start + timedelta(minutes=minutes)
    return Trip.objects.create(
        fleet=van.fleet, vehicle=van, started_at=start, ended_at=end, middle_at=start + (end - start) / 2,
        duration_s=minutes * 60, distance_m=km * 1000, distance_source="speed", moving_s=minutes * 60, idle_s=0.0,
        settled_at=end, **values,
    )  # fmt: skip


def days(van: Vehicle) -> list[tuple[str, int, int]]:
    rollups.touch(rollups.driving(van.fleet_id, van.pk, [NOON.date()]))
    while rollups.keep_up(timezone.now()):
        pass
    rows = VehicleDay.objects.order_by("day").values_list("day", "trips", "distance_mm")
    return [(str(day), trips, distance // 1_000_000) for day, trips, distance in rows]


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


@pytest.mark.parametrize(
    ("begins", "lasts", "together"),
    [(-10, 80, True), (5, 20, True), (-10, 45, True), (-20, 45, False), (61, 10, False), (50, 60, False)],
)
def test_the_one_that_covers_the_middle_or_lies_within(
    van: Vehicle, begins: float, lasts: float, together: bool
) -> None:
    trip = detected(van, NOON)
    keep(van, [told("a", NOON + minutes(begins), lasts)])
    assert [s.trip_id for s in summaries_of([trip])[trip.pk]] == (["a"] if together else [])
    assert Trip.objects.filter(driven_by("ada")).exists() is together
    assert days(van) == [("2026-05-04", 1, 10)] if together else [("2026-05-04", 2, 21)]


def test_a_summary_that_goes_on_matches_the_trip_it_began_in(van: Vehicle) -> None:
    trip = detected(van, NOON)
    keep(van, [told("a", NOON + minutes(2), None)])
    assert len(summaries_of([trip])[trip.pk]) == 1 and days(van)[0][1] == 1


def test_a_detected_trip_counts_until_its_summary_comes_on_all_its_days(van: Vehicle) -> None:
    """It crosses midnight, the summary that comes later does not."""
    late = NOON + minutes(11 * 60)
    trip = detected(van, late, 120, km=12)
    rollups.touch(rollups.driving(van.fleet_id, van.pk, [trip.started_at.date(), trip.ended_at.date()]))
    assert days(van) == [("2026-05-04", 1, 6), ("2026-05-05", 0, 6)]
    keep(van, [told("a", late + minutes(1), 58)])
    assert days(van) == [("2026-05-04", 1, 10)]
    assert DriverDay.objects.get().driver_id == "ada"
    TripSummary.objects.all().delete()


def test_another_vehicles_summary_matches_nothing(van: Vehicle) -> None:
    trip = detected(van, NOON)
    other = Vehicle.objects.create(fleet=van.fleet, slug="van-2", name="Van 2")
    keep(other, [told("a", NOON, 60)])
    assert summaries_of([trip])[trip.pk] == [] and not Trip.objects.filter(driven_by("ada")).exists()
