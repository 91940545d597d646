"""Sums by day: the same for the same trips and alerts, however they came, and equal to a plain computation."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Sum
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.aggregation import buckets, columns, months, rebuild, rollups, statistics
from fleet.aggregation.days import Period, bounds, days_between, month_of, starts, touching
from fleet.alerting.alerts import Report, raise_alert
from fleet.journeys.trips import TripTold, keep
from fleet.models import (
    Alert,
    DriverDay,
    DriverMonth,
    Fleet,
    FleetDay,
    RollupState,
    Severity,
    TouchedDay,
    TripSummary,
    Vehicle,
    VehicleDay,
    VehicleMonth,
)

BERLIN = "Europe/Berlin"
PROPERTY = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


SUMS: tuple[Any, ...] = (VehicleDay, DriverDay, FleetDay, VehicleMonth, DriverMonth)


@pytest.fixture
def fleet(db: None) -> Fleet:
    return Fleet.objects.create(slug="north", name="North", time_zone=BERLIN)


@pytest.fixture
def vans(fleet: Fleet) -> list[Vehicle]:
    rows = [Vehicle.objects.create(fleet=fleet, slug=f"van-{n}", name=f"Van {n}") for n in (1, 2)]
    return list(
        Vehicle.objects.select_related("fleet").filter(pk__in=[row.pk for row in rows]).order_by("slug")
    )


def told(
    name: str, start: datetime, minutes: float | None = 60, km: float = 10, driver: str = "ada", **values: Any
) -> TripTold:
    """A trip; without minutes it goes on."""
    end = None if minutes is None else start + timedelta(minutes=minutes)
    columns = {
        "driver_id": driver,
        "distance_m": km * 1000,
        "duration_s": (minutes or 0) * 60,
        "mean_risk": 0.2,
    }
    return TripTold(name, start, end, columns | {"alerts": {"warning": 1}} | values)


def up_to_date() -> None:
    while rollups.keep_up(timezone.now()):
        pass
    assert not TouchedDay.objects.exists()


def picture() -> dict[str, Any]:
    """Every sum there is, without ids."""
    keys_of = {
        VehicleDay: ("vehicle__slug",),
        DriverDay: ("vehicle__slug", "driver_id"),
        FleetDay: ("active_vehicles",),
        VehicleMonth: ("vehicle__slug", "active"),
        DriverMonth: ("driver_id", "active"),
    }
    found: dict[str, Any] = {}
    for model, keys in keys_of.items():
        names = columns.DRIVEN if model in {DriverDay, DriverMonth} else columns.SEEN
        when = "month" if model in {VehicleMonth, DriverMonth} else "day"
        found[model.__name__] = list(model.objects.order_by(when, *keys).values(when, *keys, *names))  # type: ignore[attr-defined]
    return found


def naive(zone: str) -> dict[tuple[str, date], Counter[str]]:
    """Straight from the rows, minute by minute: metres, minutes, trips and alerts of each vehicle's day."""
    sums: dict[tuple[str, date], Counter[str]] = defaultdict(Counter)
    here = ZoneInfo(zone)
    for trip in TripSummary.objects.select_related("vehicle"):
        name, minutes = trip.vehicle.slug, round((trip.duration_s or 0) / 60)
        for minute in range(minutes):
            day = (trip.start_time + timedelta(minutes=minute)).astimezone(here).date()
            sums[name, day]["distance_m"] += (trip.distance_m or 0) / minutes  # type: ignore[assignment]
            sums[name, day]["minutes"] += 1
        sums[name, trip.start_time.astimezone(here).date()]["trips"] += 1
    for alert in Alert.objects.select_related("vehicle"):
        sums[alert.vehicle.slug, alert.first_at.astimezone(here).date()]["alerts"] += 1
    return sums


def assert_right(zone: str = BERLIN) -> None:
    wanted = {key: sums for key, sums in naive(zone).items() if any(sums.values())}
    rows = {(row.vehicle.slug, row.day): row for row in VehicleDay.objects.select_related("vehicle")}
    assert rows.keys() == wanted.keys()
    for key, row in rows.items():
        sums = wanted[key]
        assert row.trips == sums["trips"] and row.driving_ms == sums["minutes"] * 60_000
        assert row.distance_mm == pytest.approx(sums["distance_m"] * 1000, abs=5)
        assert row.alerts_info + row.alerts_warning + row.alerts_critical == sums["alerts"]
    for day in FleetDay.objects.all():
        assert day.distance_mm == sum(row.distance_mm for (_, d), row in rows.items() if d == day.day)
    driven: Counter[str] = Counter()
    for trip in TripSummary.objects.exclude(driver_id=""):
        driven[trip.driver_id] += round((trip.distance_m or 0) * 1000)
    by_driver = DriverDay.objects.values_list("driver_id").order_by("driver_id").annotate(Sum("distance_mm"))
    assert {row[0]: int(row[1]) for row in by_driver} == dict(driven)
    assert_months()


def assert_months() -> None:
    """Each is the sum of its days, and there is no other."""
    vehicles: dict[tuple[Any, date], Counter[str]] = defaultdict(Counter)
    for row in VehicleDay.objects.all():
        month = vehicles[row.vehicle_id, month_of(row.day)]
        month.update({name: getattr(row, name) for name in columns.SEEN})
        month["active"] += bool(row.records or row.driving_ms or row.trips)
    drivers: dict[tuple[Any, date], Counter[str]] = defaultdict(Counter)
    for driver, day in DriverDay.objects.values_list("driver_id", "day").distinct():
        drivers[driver, month_of(day)]["active"] += 1
    for driven in DriverDay.objects.all():
        drivers[driven.driver_id, month_of(driven.day)].update(
            {n: getattr(driven, n) for n in columns.DRIVEN}
        )
    assert _months(VehicleMonth, "vehicle_id", columns.SEEN) == vehicles
    assert _months(DriverMonth, "driver_id", columns.DRIVEN) == drivers


def _months(model: Any, who: str, names: Iterable[str]) -> dict[tuple[Any, date], Counter[str]]:
    rows = model.objects.values(who, "month", "active", *names)
    return {(row.pop(who), row.pop("month")): Counter(row) for row in rows}


# Around the two clock changes of 2024 in Berlin, and around midnights.
MOMENTS = st.builds(
    lambda base, minutes: base + timedelta(minutes=minutes),
    st.sampled_from([datetime(2024, 3, 30, 21, tzinfo=UTC), datetime(2024, 10, 26, 20, tzinfo=UTC)]),
    st.integers(0, 36 * 60),
)
TRIPS = st.lists(
    st.tuples(MOMENTS, st.integers(1, 40 * 60), st.integers(0, 90), st.sampled_from(["ada", "ben", ""])),
    min_size=1,
    max_size=8,
)


@PROPERTY
@given(trips=TRIPS, seed=st.integers(0, 10**6))
def test_shuffled_repeated_and_late_versions_end_with_the_same_sums(
    vans: list[Vehicle], trips: list[tuple[datetime, int, int, str]], seed: int
) -> None:
    chance = random.Random(seed)
    final = [
        (vans[n % 2], told(f"t{n}", start, minutes, km, driver))
        for n, (start, minutes, km, driver) in enumerate(trips)
    ]
    # What a device sends every five minutes until the trip is over: a shorter one, perhaps of another driver.
    early = [(van, told(one.trip_id, one.start_time, None, 1, "cleo", duration_s=60.0)) for van, one in final]
    reports = [
        (van, Report("harsh", Severity(n % 3), "x", one.start_time, key=one.trip_id))
        for n, (van, one) in enumerate(final)
    ]
    pictures = []
    for turn in range(3):
        for model in (TripSummary, Alert, TouchedDay, *SUMS):
            model.objects.all().delete()
        sent: list[Any] = final + reports if not turn else [*final, *early, *final, *reports, *reports]
        if turn:
            chance.shuffle(sent)
        for van, one in sent:
            if isinstance(one, Report):
                raise_alert(van, one)
            else:
                keep(van, [one])
            if turn == 2 and chance.random() < 0.3:
                up_to_date()
        up_to_date()
        assert_right()
        pictures.append(picture())
    assert pictures[0] == pictures[1] == pictures[2]


def test_a_trip_across_midnight_is_cut_there_and_adds_up(vans: list[Vehicle]) -> None:
    keep(vans[0], [told("t", datetime(2024, 11, 17, 22, 30, tzinfo=UTC), 90, 9.001, mean_risk=0.5)])
    up_to_date()
    before, after = VehicleDay.objects.order_by("day")
    assert (before.day, after.day) == (date(2024, 11, 17), date(2024, 11, 18)), "23:30 to 01:00 in Berlin"
    assert (before.distance_mm, after.distance_mm) == (3_000_333, 6_000_667)
    assert (before.driving_ms, after.driving_ms) == (1_800_000, 3_600_000)
    assert (before.trips, after.trips) == (1, 0) and (before.trip_warning, after.trip_warning) == (1, 0)
    assert before.risk_mm + after.risk_mm == round(9_001_000 * 0.5)
    assert FleetDay.objects.filter(active_vehicles=1).count() == 2


def test_days_of_23_and_25_hours() -> None:
    hours = {
        day: (bounds(BERLIN, day)[1] - bounds(BERLIN, day)[0]).total_seconds() / 3600
        for day in (date(2024, 3, 31), date(2024, 10, 27), date(2024, 11, 17))
    }
    assert list(hours.values()) == [23, 25, 24]
    # Midnight itself is left out: the day begins with the change.
    assert starts("America/Sao_Paulo", date(2018, 11, 4)) == datetime(2018, 11, 4, 3, tzinfo=UTC)
    # A day that never was has no length.
    opens, closes = bounds("Pacific/Apia", date(2011, 12, 30))
    assert opens == closes


@pytest.mark.parametrize("zone", [BERLIN, "Pacific/Apia", "Asia/Kathmandu", "America/Los_Angeles", "UTC"])
def test_a_day_of_utc_touches_the_local_days_it_meets(zone: str) -> None:
    for day in days_between(date(2024, 10, 20), date(2024, 11, 10)):
        opens, closes = bounds("UTC", day)
        meet = [d for d in days_between(day - timedelta(2), day + timedelta(2))
                if bounds(zone, d)[0] < closes and bounds(zone, d)[1] > opens]  # fmt: skip
        assert list(touching(zone, day)) == meet


def test_another_time_zone_sums_up_everything_again(vans: list[Vehicle], fleet: Fleet) -> None:
    for number, hour in enumerate(range(0, 96, 7)):
        start = datetime(2024, 11, 16, tzinfo=UTC) + timedelta(hours=hour)
        keep(vans[number % 2], [told(f"t{number}", start, 61 * (number + 1), number)])
        raise_alert(vans[0], Report("x", Severity.INFO, "x", start, key=str(number)))
    up_to_date()
    assert_right()
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", BERLIN):
        Fleet.objects.filter(pk=fleet.pk).update(time_zone=zone)
        up_to_date()
        assert_right(zone)
        assert RollupState.objects.get().time_zone == zone


def test_rows_that_were_there_before_are_summed_up_first(vans: list[Vehicle], fleet: Fleet) -> None:
    keep(vans[0], [told("long", datetime(2024, 11, 15, 3, tzinfo=UTC), 70 * 60, 900)])
    TouchedDay.objects.all().delete()
    up_to_date()
    assert_right()
    assert VehicleDay.objects.count() == 4


def test_a_longer_trip_than_any_is_cut(vans: list[Vehicle]) -> None:
    keep(vans[0], [told("set", datetime(2004, 1, 1, tzinfo=UTC), 60 * 24 * 365 * 20, 1000)])
    assert TouchedDay.objects.count() == 4
    up_to_date()
    days = VehicleDay.objects.all()
    assert len(days) <= 4 and sum(day.distance_mm for day in days) == 1_000_000_000
    assert sum(day.driving_ms for day in days) == 3 * 86_400_000


@pytest.mark.parametrize(
    ("values", "sums"),
    [
        ({"distance_m": None}, {"distance_mm": 0, "scored_mm": 0}),
        ({"mean_risk": None}, {"risk_mm": 0, "scored_mm": 0, "counted_mm": 10_000_000}),
        ({"alerts": {}}, {"counted_mm": 0, "trip_warning": 0}),
        ({"alerts": {"Critical": 10**9, "low": 3, "info": True}}, {"trip_critical": 10**9, "trip_info": 1}),
        ({"duration_s": None}, {"driving_ms": 3_600_000}),
    ],
)
def test_what_a_device_leaves_out(vans: list[Vehicle], values: dict[str, Any], sums: dict[str, int]) -> None:
    keep(vans[0], [told("t", datetime(2024, 11, 17, 9, tzinfo=UTC), **values)])
    up_to_date()
    row = VehicleDay.objects.get()
    assert {name: getattr(row, name) for name in sums} == sums


def test_nothing_is_touched_by_what_changes_nothing(vans: list[Vehicle]) -> None:
    one = told("t", datetime(2024, 11, 17, 9, tzinfo=UTC))
    report = Report("x", Severity.INFO, "x", one.start_time)
    keep(vans[0], [one])
    raise_alert(vans[0], report)
    up_to_date()
    keep(vans[0], [one, told("t", one.start_time, 30, 5)])
    raise_alert(vans[0], report)
    assert not TouchedDay.objects.exists()


def test_what_is_touched_while_it_is_summed_up_stays(
    vans: list[Vehicle], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = datetime(2024, 11, 17, 9, tzinfo=UTC)
    keep(vans[0], [told("t", start)])
    summed, late = buckets.recompute, [told("t", start, 90, 20)]

    def recompute(*args: Any) -> None:
        summed(*args)
        keep(vans[0], late)  # after its rows were read

    monkeypatch.setattr(rollups, "recompute", recompute)
    up_to_date()
    assert VehicleDay.objects.get().distance_mm == 20_000_000


def test_an_error_in_one_fleet_does_not_stop_the_others(
    vans: list[Vehicle], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Fleet.objects.create(slug="south", name="South")
    bus = Vehicle.objects.create(fleet=other, slug="bus", name="Bus")
    for van in (vans[0], bus):
        keep(van, [told("t", datetime(2024, 11, 17, 9, tzinfo=UTC))])
    summed = buckets.recompute

    def recompute(fleet_id: int, *rest: Any) -> None:
        if fleet_id == vans[0].fleet_id:
            raise ValueError("cannot")
        summed(fleet_id, *rest)

    monkeypatch.setattr(rollups, "recompute", recompute)
    rollups.keep_up(timezone.now())
    assert VehicleDay.objects.get().vehicle == bus
    assert TouchedDay.objects.count() == 1, "tried again later"


def test_a_vehicle_that_was_deleted_leaves_the_fleets_sums(vans: list[Vehicle]) -> None:
    for number, van in enumerate(vans):
        keep(van, [told(f"t{number}", datetime(2024, 11, 17 + number, 9, tzinfo=UTC))])
    up_to_date()
    Vehicle.objects.filter(pk=vans[0].pk).delete()
    rebuild.ask_for([vans[0].fleet_id])
    up_to_date()
    assert_right()
    assert FleetDay.objects.count() == 1


@pytest.mark.parametrize("first", [date(2024, 1, 1), date(2024, 1, 17), date(2024, 3, 31), date(2024, 9, 20)])
def test_a_long_period_is_the_same_by_month_as_by_day(
    vans: list[Vehicle], first: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        start = datetime(2024, 1, 1, 22, 30, tzinfo=UTC) + timedelta(days=9 * number, hours=number % 5)
        keep(vans[number % 2], [told(f"t{number}", start, 120, number, driver="ab"[number % 3 % 2])])
    up_to_date()
    assert_right()

    def answers() -> list[Any]:
        period = Period(first, date(2024, 12, 2), BERLIN)
        fleet, some = vans[0].fleet_id, [vans[1].pk]
        by_vehicle, one = statistics.by_vehicle(fleet, period), statistics.by_vehicle(fleet, period, some)
        return [by_vehicle, one, statistics.by_driver(fleet, period), statistics.summary(fleet, period)]

    by_month = answers()
    monkeypatch.setattr(months, "LEAST_DAYS", 10_000)
    assert by_month == answers() and by_month[3].sums.active == 2 and by_month[3].drivers == 2


def test_one_late_trip_costs_a_few_queries(vans: list[Vehicle], django_assert_max_num_queries: Any) -> None:
    for number in range(30):
        start = datetime(2024, 10, 1, 9, tzinfo=UTC) + timedelta(days=number)
        keep(vans[0], [told(f"t{number}", start)])
    up_to_date()
    keep(vans[0], [told("late", datetime(2024, 10, 9, 12, tzinfo=UTC), driver="ben")])
    with django_assert_max_num_queries(38):
        rollups.keep_up(timezone.now())
    assert_right()
