"""Sums up days from stored rows, and stores the sums. The same rows give the same sums, whatever came when.

What only telemetry knows it registers here.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db.models import Count, Q, Sum

from fleet import months
from fleet.attribution import attributed, cost_of, night_of, share_out
from fleet.days import bounds, day_of
from fleet.legs import LONGEST, legs
from fleet.matching import MATCHED_SQL
from fleet.models import Alert, DriverDay, FleetDay, Kind, Part, Severity, TripSummary, VehicleDay
from fleet.ranges import Range, joined, with_ranges

Bucket = tuple[int, date]
"""A vehicle and a day of its fleet's time zone."""
Sums = Counter[str]

DRIVEN = (
    "trips", "distance_mm", "driving_ms", "risk_mm", "scored_mm", "counted_mm",
    "trip_info", "trip_warning", "trip_critical", "harsh_accelerations", "harsh_brakings", "harsh_corners",
    "speeding_ms", "idling_ms", "night_ms", "seen_mm", "turning_mm", "timed_ms",
)  # fmt: skip
HEARD = ("records", "seen_mm", "turning_mm", "timed_ms")
"""What telemetry counts; of drivers by their share of the vehicle's day."""
ALERTS = {
    Severity.INFO: "alerts_info",
    Severity.WARNING: "alerts_warning",
    Severity.CRITICAL: "alerts_critical",
}
SEEN = (*DRIVEN, *ALERTS.values(), "records")
COLUMNS = {Part.DRIVING: tuple(name for name in SEEN if name not in HEARD), Part.ACTIVITY: HEARD}
_EMPTY = dict.fromkeys(SEEN, 0)
ACTIVE = Q(records__gt=0) | Q(driving_ms__gt=0) | Q(trips__gt=0)


@dataclass(frozen=True)
class Activity:
    """How telemetry tells of its records."""

    count: Callable[[dict[Bucket, Range]], dict[Bucket, Sums]]
    """The columns HEARD of each range; a bucket that is missing in the answer keeps what is known of it."""
    days: Callable[[int], Iterable[Bucket]]
    """Vehicles of a fleet and the days of UTC on which they have records."""


@dataclass
class _Sources:
    activity: list[Activity] = field(default_factory=list)


sources = _Sources()


def recompute(fleet_id: int, zone: str, wanted: dict[Part, set[Bucket]]) -> None:
    """Sum up these days of these vehicles, and the fleet's. Call within a transaction, one at a time per fleet."""
    gone: set[tuple[str, date]] = set()
    if driving := wanted.get(Part.DRIVING):
        by_vehicle, by_driver = _driven(fleet_id, zone, driving)
        _keep_vehicles(fleet_id, Part.DRIVING, driving, by_vehicle)
        gone = _keep_drivers(fleet_id, driving, by_driver)
    if active := wanted.get(Part.ACTIVITY):
        ranges = _ranges(zone, active)
        for source in sources.activity:
            counted = source.count(ranges)
            found = {bucket: sums for bucket, sums in counted.items() if any(sums.values())}
            _keep_vehicles(fleet_id, Part.ACTIVITY, set(counted), found)
    touched = {bucket for buckets in wanted.values() for bucket in buckets}
    share_out(fleet_id, touched)
    months.keep_vehicles(fleet_id, touched, SEEN, ACTIVE)
    left = (
        DriverDay.objects.filter(_among(touched), fleet=fleet_id).values_list("driver_id", "day").distinct()
    )
    months.keep_drivers(fleet_id, gone | set(left), DRIVEN)
    _keep_fleet(fleet_id, {day for _, day in touched})


def _driven(
    fleet_id: int, zone: str, wanted: set[Bucket]
) -> tuple[dict[Bucket, Sums], dict[tuple[str, Bucket], Sums]]:
    by_vehicle: dict[Bucket, Sums] = {}
    by_driver: dict[tuple[str, Bucket], Sums] = {}
    ranges = joined(_ranges(zone, wanted).values())
    trips = list(_trips(fleet_id, ranges))
    night = night_of(fleet_id)
    for trip in trips:
        for leg in legs(trip, zone, night):
            bucket = leg.vehicle_id, leg.day
            if bucket not in wanted:
                continue
            by_vehicle.setdefault(bucket, Counter()).update(leg.sums)
            if leg.driver_id:
                by_driver.setdefault((leg.driver_id, bucket), Counter()).update(leg.sums)
    for event in attributed(fleet_id, ranges, trips):
        bucket, sums = (event.vehicle_id, day_of(zone, event.started_at)), cost_of(event)
        by_vehicle.setdefault(bucket, Counter()).update(sums)
        if event.driver_id:
            by_driver.setdefault((event.driver_id, bucket), Counter()).update(sums)
    for alert in _alerts(fleet_id, ranges):
        bucket = alert.vehicle_id, day_of(zone, alert.first_at)
        by_vehicle.setdefault(bucket, Counter())[ALERTS[Severity(alert.severity)]] += 1
    return by_vehicle, by_driver


def _ranges(zone: str, wanted: Iterable[Bucket]) -> dict[Bucket, Range]:
    return {(vehicle, day): Range(vehicle, *bounds(zone, day)) for vehicle, day in wanted}


_TRIP = "id, vehicle_id, driver_id, start_time, end_time, distance_m, duration_s, mean_risk, alerts"


_DETECTED = (
    "-t.id AS id, t.vehicle_id, '' AS driver_id, t.started_at AS start_time, t.ended_at AS end_time, t.distance_m, "
    "t.duration_s, NULL AS mean_risk, '{}' AS alerts"
)
"""A detected trip as a summary that knows less."""


def _trips(fleet_id: int, ranges: Sequence[Range]) -> Iterable[TripSummary]:
    """Every trip that may reach into one of the ranges, once. A drive that a device summed up is not counted again
    where it was detected: the summary knows its driver and risk."""
    asked, params = with_ranges([Range(one.vehicle_id, one.start - LONGEST, one.end) for one in ranges])
    columns = ", ".join(f"t.{name}" for name in _TRIP.split(", "))
    told = TripSummary.objects.raw(
        f"{asked} SELECT {columns} FROM asked JOIN trip_summaries t ON t.vehicle_id = asked.vehicle_id "
        "AND t.start_time >= asked.opens AND t.start_time < asked.closes WHERE t.fleet_id = %s",
        [*params, fleet_id],
    )
    detected = TripSummary.objects.raw(
        f"{asked} SELECT {_DETECTED} FROM asked JOIN trips t ON t.vehicle_id = asked.vehicle_id "
        "AND t.started_at >= asked.opens AND t.started_at < asked.closes WHERE t.fleet_id = %s "
        f"AND NOT EXISTS (SELECT 1 FROM trip_summaries s WHERE s.fleet_id = t.fleet_id AND {MATCHED_SQL})",
        [*params, fleet_id],
    )
    return {trip.pk: trip for trip in (*told, *detected)}.values()


def _alerts(fleet_id: int, ranges: Sequence[Range]) -> Iterable[Alert]:
    asked, params = with_ranges(ranges)
    return Alert.objects.raw(
        f"{asked} SELECT a.id, a.vehicle_id, a.first_at, a.severity FROM asked JOIN alerts a "
        "ON a.vehicle_id = asked.vehicle_id AND a.first_at >= asked.opens AND a.first_at < asked.closes "
        "WHERE a.fleet_id = %s AND a.count > 0",  # none: late data took it back
        [*params, fleet_id],
    )


def _keep_vehicles(fleet_id: int, part: Part, wanted: Collection[Bucket], found: dict[Bucket, Sums]) -> None:
    columns = COLUMNS[part]
    rows = [
        VehicleDay(fleet_id=fleet_id, vehicle_id=vehicle, day=day, **{name: sums[name] for name in columns})
        for (vehicle, day), sums in sorted(found.items())
    ]
    VehicleDay.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["vehicle", "day", "fleet"], update_fields=columns
    )
    if gone := set(wanted) - found.keys():
        empty = VehicleDay.objects.filter(_among(gone), fleet=fleet_id)
        empty.update(**dict.fromkeys(columns, 0))
        empty.filter(**_EMPTY).delete()


def _keep_drivers(
    fleet_id: int, wanted: Collection[Bucket], found: dict[tuple[str, Bucket], Sums]
) -> set[tuple[str, date]]:
    """Answers whose days are gone."""
    rows = [
        DriverDay(
            fleet_id=fleet_id, driver_id=driver, vehicle_id=vehicle, day=day,
            **{name: sums[name] for name in DRIVEN},
        )
        for (driver, (vehicle, day)), sums in sorted(found.items())
    ]  # fmt: skip
    DriverDay.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["vehicle", "day", "driver_id", "fleet"],
        update_fields=DRIVEN,
    )
    known = DriverDay.objects.filter(_among(wanted), fleet=fleet_id)
    gone = {
        pk: (driver, day)
        for pk, driver, vehicle, day in known.values_list("pk", "driver_id", "vehicle_id", "day")
        if (driver, (vehicle, day)) not in found
    }
    if gone:
        DriverDay.objects.filter(pk__in=list(gone)).delete()
    return set(gone.values())


def _keep_fleet(fleet_id: int, days: Collection[date]) -> None:
    """From the vehicles' days, which are summed up by now."""
    sums: Any = VehicleDay.objects.filter(fleet=fleet_id, day__in=days).values("day").order_by("day")
    active = Count("id", filter=ACTIVE & Q(vehicle__kind=Kind.VEHICLE))
    rows = [
        FleetDay(
            fleet_id=fleet_id, **{name: int(value) if name != "day" else value for name, value in row.items()}
        )
        for row in sums.annotate(active_vehicles=active, **{name: Sum(name) for name in SEEN})
    ]
    FleetDay.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["fleet", "day"],
        update_fields=[*SEEN, "active_vehicles"],
    )
    if gone := set(days) - {row.day for row in rows}:
        FleetDay.objects.filter(fleet=fleet_id, day__in=gone).delete()


def _among(buckets: Iterable[Bucket]) -> Q:
    by_day: dict[date, list[int]] = defaultdict(list)
    for vehicle, day in buckets:
        by_day[day].append(vehicle)
    condition = Q()
    for day, vehicles in by_day.items():
        condition |= Q(day=day, vehicle_id__in=vehicles)
    return condition
