"""Sums by minute and hour of what records say, and fleets' sums of both.

Minutes are written by whoever has the records (`sources`). A vehicle's hour takes what records say from its minutes;
where those are forgotten already, from the records themselves. Fleets' rows are the sums of vehicles' rows.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from fleet.aggregation.columns import MOVED, SEEN, TOLD
from fleet.aggregation.days import bounds
from fleet.aggregation.hours import cuts, hour_of
from fleet.aggregation.kept import hours_from, minutes_from
from fleet.aggregation.sources import Bucket, Into, sources
from fleet.aggregation.upserts import Target, run
from fleet.models import FleetHour, Kind, VehicleHour
from fleet.ranges import Range, joined, with_ranges

SLICE = timedelta(minutes=5)
"""What is touched and summed up at once."""
_OF_FLEETS = ("records", "timed_ms", *MOVED)
_FLEETS_MINUTES = Target(
    "rollup_fleet_minute", ("fleet_id", "minute"), (*_OF_FLEETS, "active_vehicles"), ("fleet_id", "minute")
)
_FLEETS_HOURS = Target(
    "rollup_fleet_hour", ("fleet_id", "hour"), (*SEEN, *MOVED, "active_vehicles"), ("fleet_id", "hour")
)
_NOBODY = 0


def keep_heard(fleet_id: int, zone: str, days: Collection[Bucket], slices: Collection[Range]) -> set[Range]:
    """From records: minutes of these days and slices of vehicles, and the record part of the hours that share a
    moment with them. Answers these hours. The fleet's minutes too; its hours are left to `keep_fleet`."""
    now = timezone.now()
    young, kept = minutes_from(now), hours_from(now)
    stretches = joined([Range(vehicle, *bounds(zone, day)) for vehicle, day in days] + list(slices))
    minutes = [Range(one.vehicle_id, max(one.start, young), one.end) for one in stretches if one.end > young]
    hours = {hour for one in stretches for hour in _hours(zone, one) if hour.start >= kept}
    old = sorted(hour for hour in hours if hour.start < young)
    for source in sources.activity:
        if minutes:
            source.keep(fleet_id, Into.MINUTES, minutes)
        if old:
            source.keep(fleet_id, Into.HOURS, old)
    stale = _forget_stale(fleet_id, zone, days)
    if minutes:
        _add_up_hours(fleet_id, sorted(hour for hour in hours if hour.start >= young))
        _add_up_minutes(fleet_id, [Range(_NOBODY, one.start, one.end) for one in minutes])
    return hours | stale


def _forget_stale(fleet_id: int, zone: str, days: Collection[Bucket]) -> set[Range]:
    """Hours that begin when none does by the zone's clock: the fleet had another zone."""
    by_day: dict[date, list[int]] = defaultdict(list)
    for vehicle, day in days:
        by_day[day].append(vehicle)
    wanted = Q(pk__in=())
    for day, vehicles in by_day.items():
        opens, closes = bounds(zone, day)
        within = Q(hour__gte=opens, hour__lt=closes, vehicle__in=vehicles)
        wanted |= within & ~Q(hour__in=cuts(zone, day))
    found = VehicleHour.objects.filter(wanted, fleet=fleet_id)
    stale = {
        pk: Range(vehicle, hour, hour) for pk, vehicle, hour in found.values_list("pk", "vehicle", "hour")
    }
    if stale:
        VehicleHour.objects.filter(pk__in=list(stale)).delete()
    return set(stale.values())


def _hours(zone: str, stretch: Range) -> Iterable[Range]:
    place = stretch.start
    while place < stretch.end:
        opens, place = hour_of(zone, place)
        yield Range(stretch.vehicle_id, opens, place)


def _add_up_hours(fleet_id: int, hours: list[Range]) -> None:
    if not hours:
        return
    asked, params = with_ranges(hours)
    sums = ", ".join(f"sum(m.{name})" for name in TOLD[:-2])
    charge = f"max({_epoch('m.minute')} * 10001 + m.charge) %% 10001"
    statement = Into.HOURS.value.upsert(
        "m.fleet_id, m.vehicle_id, asked.opens",
        f"{sums}, max(m.top_speed_mm_s), {charge}",
        "FROM asked JOIN rollup_vehicle_minute m ON m.vehicle_id = asked.vehicle_id "
        "AND m.minute >= asked.opens AND m.minute < asked.closes WHERE m.fleet_id = %s "
        "GROUP BY m.fleet_id, m.vehicle_id, asked.opens",
    )
    run(f"{asked} {statement}", [*params, fleet_id])


def _epoch(column: str) -> str:
    if connection.vendor == "postgresql":
        return f"extract(epoch FROM {column})::bigint"
    return f"CAST(strftime('%%s', {column}) AS INTEGER)"


def _add_up_minutes(fleet_id: int, stretches: Iterable[Range]) -> None:
    asked, params = with_ranges(joined(stretches))
    sums = ", ".join(f"sum(m.{name})" for name in _OF_FLEETS[:-1])
    statement = _FLEETS_MINUTES.upsert(
        "m.fleet_id, m.minute",
        f"{sums}, max(m.top_speed_mm_s), count(*) FILTER (WHERE v.kind = %s)",
        "FROM asked JOIN rollup_vehicle_minute m ON m.fleet_id = %s AND m.minute >= asked.opens "
        "AND m.minute < asked.closes JOIN vehicles v ON v.id = m.vehicle_id WHERE true "
        "GROUP BY m.fleet_id, m.minute",
    )
    run(f"{asked} {statement}", [*params, Kind.VEHICLE.value, fleet_id])


def keep_fleet(fleet_id: int, hours: Iterable[datetime]) -> None:
    """The fleet's hours, from its vehicles'."""
    wanted = sorted(set(hours))
    if not wanted:
        return
    sums = ", ".join(f"sum(h.{name})" for name in (*SEEN, *MOVED[:-1]))
    active = "count(*) FILTER (WHERE v.kind = %s AND (h.records > 0 OR h.driving_ms > 0 OR h.trips > 0))"
    marks = ", ".join(["%s"] * len(wanted))
    statement = _FLEETS_HOURS.upsert(
        "h.fleet_id, h.hour",
        f"{sums}, max(h.top_speed_mm_s), {active}",
        "FROM rollup_vehicle_hour h JOIN vehicles v ON v.id = h.vehicle_id "
        f"WHERE h.fleet_id = %s AND h.hour IN ({marks}) GROUP BY h.fleet_id, h.hour",
    )
    adapt = connection.ops.adapt_datetimefield_value
    run(statement, [Kind.VEHICLE.value, fleet_id, *map(adapt, wanted)])
    left = VehicleHour.objects.filter(fleet=OuterRef("fleet"), hour=OuterRef("hour"))
    FleetHour.objects.filter(~Exists(left), fleet=fleet_id, hour__in=wanted).delete()
