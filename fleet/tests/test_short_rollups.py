"""Hours of trips: cut where the fleet's clock says so, adding up to days; and what asks for hours and minutes."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings as DjangoSettings

from fleet.aggregation import kept, rebuild, trends, utilisation
from fleet.aggregation.columns import DRIVEN, SEEN
from fleet.aggregation.days import Period, day_of
from fleet.aggregation.hours import cuts, hour_of, hours_of
from fleet.aggregation.metrics import METRICS
from fleet.aggregation.spans import Window
from fleet.aggregation.trends import Resolution
from fleet.alerting.alerts import Report, raise_alert
from fleet.journeys.trips import keep
from fleet.models import (
    DriverDay,
    DriverHour,
    Fleet,
    FleetDay,
    FleetHour,
    FleetMinute,
    Severity,
    TripSummary,
    Vehicle,
    VehicleDay,
    VehicleHour,
    VehicleMinute,
)
from fleet.tests.test_rollups import told, up_to_date
from tests.world import make_car, make_person

API = "/api/v1/fleet/north"
BERLIN = "Europe/Berlin"


@pytest.fixture(autouse=True)
def for_ever(settings: DjangoSettings) -> None:
    settings.MINUTE_ROLLUP_DAYS = settings.HOUR_ROLLUP_DAYS = 0


@pytest.fixture
def van(db: None) -> Vehicle:
    car = make_car("north", "van")
    Fleet.objects.filter(slug="north").update(time_zone=BERLIN)
    return Vehicle.objects.select_related("fleet").get(pk=car.vehicle.pk)


@pytest.fixture
def viewer(van: Vehicle) -> Iterator[Client]:
    client = Client()
    person = make_person("viewer@example.com", "north")
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    yield client


def clocks(zone: str, day: date) -> list[str]:
    return [f"{opens.astimezone(ZoneInfo(zone)):%H:%M}" for opens, _ in hours_of(zone, day)]


FULL = [f"{hour:02}:00" for hour in range(24)]


@pytest.mark.parametrize(
    ("zone", "day", "shown"),
    [
        (BERLIN, date(2026, 6, 1), FULL),
        (BERLIN, date(2026, 3, 29), [*FULL[:2], *FULL[3:]]),
        (BERLIN, date(2026, 10, 25), [*FULL[:3], *FULL[2:]]),
        ("Asia/Kolkata", date(2026, 6, 1), FULL),
        # Clocks go from 02:00 to 02:30, and back from 02:00 to 01:30.
        ("Australia/Lord_Howe", date(2026, 10, 4), [*FULL[:2], "02:30", *FULL[3:]]),
        ("Australia/Lord_Howe", date(2026, 4, 5), [*FULL[:2], "01:30", *FULL[2:]]),
        ("Pacific/Apia", date(2011, 12, 30), []),
    ],
)
def test_hours_are_those_of_the_clock(zone: str, day: date, shown: list[str]) -> None:
    assert clocks(zone, day) == shown
    found = cuts(zone, day)
    assert all(later - sooner <= timedelta(hours=1) for sooner, later in pairwise(found))
    for opens, closes in hours_of(zone, day):
        assert hour_of(zone, opens) == (opens, closes) == hour_of(zone, closes - timedelta(microseconds=1))


def assert_hours_add_up(zone: str) -> None:
    """To days, column by column, of vehicles, drivers and the fleet; and nothing else is there."""
    tables: list[tuple[Any, Any, str, tuple[str, ...]]] = [
        (VehicleHour, VehicleDay, "vehicle_id", SEEN),
        (DriverHour, DriverDay, "driver_id", DRIVEN),
        (FleetHour, FleetDay, "fleet_id", SEEN),
    ]
    for hourly, daily, who, names in tables:
        by_hour: dict[Any, Counter[str]] = {}
        for row in hourly.objects.all():
            assert hour_of(zone, row.hour)[0] == row.hour
            mine = by_hour.setdefault((getattr(row, who), day_of(zone, row.hour)), Counter())
            mine.update({name: getattr(row, name) for name in names})
        by_day: dict[Any, Counter[str]] = {}
        for row in daily.objects.all():
            by_day.setdefault((getattr(row, who), row.day), Counter()).update(
                {name: getattr(row, name) for name in names}
            )
        assert by_hour == by_day and by_hour, hourly


@pytest.mark.parametrize("zone", [BERLIN, "Asia/Kolkata", "Australia/Lord_Howe"])
def test_hours_add_up_to_days_whatever_came_when(van: Vehicle, zone: str) -> None:
    """Across both changes of clocks; trips that are told again, and told otherwise at last."""
    Fleet.objects.update(time_zone=zone)
    chance = random.Random(zone)
    starts = [
        datetime(2026, 3, 28, tzinfo=UTC),
        datetime(2026, 4, 4, tzinfo=UTC),
        datetime(2026, 10, 3, tzinfo=UTC),
    ]
    starts += [datetime(2026, 10, 24, tzinfo=UTC)]
    pictures = []
    for turn in range(2):
        trips = []
        for number, start in enumerate(starts * 5):
            begin = start + timedelta(minutes=chance.randrange(48 * 60), seconds=chance.randrange(60))
            driver = chance.choice(["ada", "ben", ""])
            trips.append(
                told(f"t{turn}-{number}", begin, chance.randrange(300), chance.randrange(90), driver)
            )
        if turn:
            TripSummary.objects.all().delete()
            rebuild.ask_for([van.fleet_id])
        first = chance.sample(trips, 8)
        keep(van, first)
        up_to_date()
        chance.shuffle(trips)
        keep(van, trips)
        raise_alert(van, Report("x", Severity.CRITICAL, "x", starts[0] + timedelta(hours=3)))
        up_to_date()
        assert_hours_add_up(zone)
        pictures.append(FleetHour.objects.count())
    VehicleHour.objects.all().delete()
    rebuild.ask_for([van.fleet_id])
    up_to_date()
    assert_hours_add_up(zone)
    assert FleetHour.objects.count() == pictures[-1]


def test_a_drive_without_records_is_spread_over_its_hours(van: Vehicle) -> None:
    keep(van, [told("t", datetime(2026, 6, 1, 9, 45, tzinfo=UTC), 90, 90)])
    up_to_date()
    rows = list(VehicleHour.objects.order_by("hour"))
    assert [row.distance_mm for row in rows] == [15_000_000, 60_000_000, 15_000_000]
    assert [row.trips for row in rows] == [1, 0, 0] and not any(row.records for row in rows)
    keep(van, [told("t", datetime(2026, 6, 1, 9, 45, tzinfo=UTC), 150, 100)])
    up_to_date()
    far = [row.distance_mm / 1e6 for row in VehicleHour.objects.order_by("hour")]
    assert far == [10, 40, 40, 10]


def test_another_zone_cuts_other_hours(van: Vehicle) -> None:
    keep(van, [told("t", datetime(2026, 6, 1, 9, 45, tzinfo=UTC), 90, 90)])
    up_to_date()
    Fleet.objects.update(time_zone="Asia/Kolkata")
    up_to_date()
    assert_hours_add_up("Asia/Kolkata")
    assert [row.hour.minute for row in VehicleHour.objects.order_by("hour")] == [30, 30]


def test_what_is_old_is_forgotten_and_not_made_again(van: Vehicle, settings: DjangoSettings) -> None:
    now = timezone.now()
    keep(van, [told(f"t{days}", now - timedelta(days=days, hours=1), 30, 9) for days in (1, 5, 9)])
    up_to_date()
    settings.HOUR_ROLLUP_DAYS = 4
    assert kept.prune(now) >= 6
    rebuild.ask_for([van.fleet_id])
    up_to_date()
    for model in (VehicleHour, DriverHour, FleetHour):
        moments = model.objects.values_list("hour", flat=True)
        assert moments and all(hour >= now - timedelta(days=4) for hour in moments)
    assert VehicleDay.objects.count() >= 3


def test_the_newest_hours_across_a_change_of_clocks() -> None:
    window = Window.newest(24, BERLIN, datetime(2026, 10, 25, 11, 20, tzinfo=UTC))
    assert (window.closes - window.opens, window.days) == (timedelta(hours=24), 2)
    assert window.before.closes == window.opens
    assert window.before.closes - window.before.opens == timedelta(hours=24)


@pytest.mark.parametrize(
    ("hours", "metric", "fitting"),
    [
        (2, "distance", "minute"),
        (3, "records", "minute"),
        (2, "safety_score", "hour"),
        (4, "distance", "hour"),
        (72, "alerts", "hour"),
    ],
)
def test_the_resolution_that_fits_hours(hours: int, metric: str, fitting: str) -> None:
    now = timezone.now()
    assert trends.fitting(Window.newest(hours, BERLIN, now), METRICS[metric], now) == fitting


@pytest.mark.parametrize(
    ("first", "last", "fitting"),
    [
        (date(2026, 10, 25), date(2026, 10, 25), "hour"),
        (date(2026, 10, 24), date(2026, 10, 26), "hour"),
        (date(2026, 10, 24), date(2026, 10, 27), "day"),
        (date(2024, 10, 26), date(2026, 10, 26), "day"),
        (date(2024, 10, 20), date(2026, 10, 26), "month"),
    ],
)
def test_the_resolution_that_fits_days(first: date, last: date, fitting: str) -> None:
    period = Period(first, last, BERLIN)
    assert trends.fitting(period, METRICS["distance"], timezone.now()) == fitting
    if fitting == "hour":
        ticks = list(trends.ticks(period, Resolution.HOUR, datetime(2027, 1, 1, tzinfo=UTC)))
        assert len(ticks) == len(set(ticks)) == (25 if first == last else 73)


def get(client: Client, path: str, status: int = 200) -> Any:
    reply = client.get(path)
    assert reply.status_code == status, reply.content
    return reply.json()


def test_trends_by_minute_hour_day_and_month(van: Vehicle, viewer: Client) -> None:
    now = timezone.now()
    minute = now.replace(second=0, microsecond=0) - timedelta(minutes=3)
    whose = {"fleet_id": van.fleet_id, "minute": minute}
    VehicleMinute.objects.create(vehicle=van, moved_mm=900_000, timed_ms=60_000, records=60, **whose)
    FleetMinute.objects.create(moved_mm=900_000, timed_ms=60_000, records=60, active_vehicles=1, **whose)
    keep(van, [told("t", now - timedelta(minutes=61), 60, 10)])
    up_to_date()
    found = get(viewer, f"{API}/trends?metric=distance&hours=2")
    assert found["resolution"] == "minute" and found["hours"] == 2
    shown = {point["time"]: point["value"] for point in found["points"]}
    assert shown[f"{minute:%Y-%m-%dT%H:%M:%SZ}"] == 900.0 and sum(shown.values()) == 900.0
    assert 60 <= len(shown) <= 120 and found["begins"] in shown
    found = get(viewer, f"{API}/trends?metric=distance&hours=24")
    assert (found["resolution"], len(found["points"])) == ("hour", 24)
    assert sum(point["value"] for point in found["points"]) == pytest.approx(10_000, abs=1)
    for query, resolution in (
        ("days=2", "day"),
        ("days=2&resolution=auto", "hour"),
        ("days=40&resolution=month", "month"),
    ):
        found = get(viewer, f"{API}/trends?metric=distance&{query}")
        assert found["resolution"] == resolution
        assert sum(point["value"] for point in found["points"]) == pytest.approx(10_000, abs=1)
        assert ("time" in found["points"][0]) == (resolution == "hour")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("resolution=second", "resolution"),
        ("metric=safety_score&hours=1&resolution=minute", "resolution"),
        ("metric=distance&days=30&resolution=minute", "resolution"),
        ("metric=distance&days=90&resolution=hour", "resolution"),
        ("metric=active_vehicles&days=90&resolution=month", "resolution"),
        ("hours=0", "hours"),
        ("hours=73", "hours"),
        ("hours=3&days=3", "hours"),
        ("days=3661&resolution=month", "days"),
    ],
)
def test_what_cannot_be_asked_is_told(viewer: Client, query: str, field: str) -> None:
    told = get(viewer, f"{API}/trends?{query}", 400)
    assert field in str(told)


def test_rankings_and_leaderboard_of_hours(van: Vehicle, viewer: Client) -> None:
    now = timezone.now()
    keep(
        van,
        [told("t", now - timedelta(hours=2), 60, 80), told("u", now - timedelta(hours=40), 60, 70, "ben")],
    )
    up_to_date()
    ranking = get(viewer, f"{API}/rankings?metric=distance&hours=24")
    assert [row["distance"] for row in ranking["results"]] == [80_000.0]
    board = get(viewer, f"{API}/drivers/leaderboard?metric=active_days&hours=24")
    assert [(row["driver_id"], row["distance"]) for row in board["results"]] == [("ada", 80_000.0)]
    assert get(viewer, f"{API}/statistics?hours=24")["total_distance"] == 80_000.0
    assert get(viewer, f"{API}/statistics?hours=24")["previous"]["total_distance"] == 70_000.0


def test_what_hours_cost(van: Vehicle, viewer: Client) -> None:
    """The same few queries however much there is."""
    now = timezone.now()
    keep(van, [told("t", now - timedelta(hours=2), 60, 80)])
    up_to_date()
    for path, most in (
        (f"{API}/trends?metric=distance&hours=2", 5),
        (f"{API}/trends?metric=distance&hours=24", 5),
        (f"{API}/utilisation", 6),
        (f"{API}/rankings?metric=distance&hours=24", 7),
        (f"{API}/drivers/leaderboard?hours=24", 7),
        ("/statistics?fleet=north&days=24h&metric=distance", 20),
        ("/vehicles/north/van/", 22),
    ):
        viewer.get(path)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert viewer.get(path).status_code == 200, path
            assert len(queries) <= most, path


def test_the_hours_of_a_week(van: Vehicle, viewer: Client) -> None:
    """Four Mondays, one of them with the hour from 7 to 8 driven whole."""
    zone, now = BERLIN, timezone.now()
    last_monday = day_of(zone, now) - timedelta(days=1)
    while last_monday.weekday():
        last_monday -= timedelta(days=1)
    opens = hours_of(zone, last_monday)[clocks(zone, last_monday).index("07:00")][0]
    keep(van, [told("t", opens, 60, 30)])
    up_to_date()
    week = utilisation.week_of(van.fleet_id, zone, now)
    assert week.shares[0, 7] == 0.25 and sum(filter(None, week.shares.values())) == 0.25
    found = get(viewer, f"{API}/utilisation?weeks=4")
    assert len(found["cells"]) == 168
    assert [cell for cell in found["cells"] if cell["share"]] == [{"weekday": 1, "hour": 7, "share": 0.25}]
    page = viewer.get("/statistics?fleet=north&days=24h&metric=distance").content.decode()
    assert 'class="heat-5">25</td>' in page and "Last 24 hours" in page
    assert "Mon,7,0.25" in viewer.get("/statistics?fleet=north&export=week").content.decode()


def test_the_vehicles_page_shows_its_hours(van: Vehicle, viewer: Client) -> None:
    page = viewer.get("/vehicles/north/van/").content.decode()
    assert "Neither records nor trips today" in page
    opens = hour_of(BERLIN, timezone.now())[0]
    VehicleHour.objects.create(
        fleet=van.fleet, vehicle=van, hour=opens, records=60, moved_mm=12_300_000, timed_ms=900_000,
        used_j=7_200_000, charge=8_000, top_speed_mm_s=25_000,
    )  # fmt: skip
    page = viewer.get("/vehicles/north/van/").content.decode()
    assert all(f">{value}</td>" in page for value in ("12.3", "15", "90", "2.0", "80"))
    assert '<rect width="100.0"' in page
