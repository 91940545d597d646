"""Sums up days from stored rows, and stores the sums. The same rows give the same sums, whatever came when.

Trips are cut at the hours of the fleet's zone, so that a day is the sum of its hours.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone

from fleet.aggregation import driverminutes, hourly, hourtrips, months
from fleet.aggregation.columns import ACTIVE, ALERTS, COLUMNS, DRIVEN, EMPTY, OF_DRIVERS, SEEN, SHARED
from fleet.aggregation.days import bounds, day_of
from fleet.aggregation.hours import hour_of
from fleet.aggregation.hourtrips import Hour
from fleet.aggregation.legs import legs
from fleet.aggregation.sources import Bucket, Sums, sources
from fleet.aggregation.upserts import Target, store
from fleet.behaviour import drives as drives_in
from fleet.behaviour import tripscores
from fleet.behaviour.attribution import DAYS, HOURS, attribute, begun, cost_of, night_of, share_out
from fleet.behaviour.drives import Drives
from fleet.models import Alert, DriverDay, FleetDay, Kind, Part, Severity, VehicleDay
from fleet.privacy.retention import first_day
from fleet.ranges import Range, joined, with_ranges

_VEHICLES = {
    part: Target(
        "rollup_vehicle_day", ("fleet_id", "vehicle_id", "day"), columns, ("vehicle_id", "day", "fleet_id"),
        tuple(name for name in SEEN if name not in columns),
    )
    for part, columns in COLUMNS.items()
}  # fmt: skip
_DRIVERS = Target(
    "rollup_driver_day", ("fleet_id", "driver_id", "vehicle_id", "day"), OF_DRIVERS,
    ("vehicle_id", "day", "driver_id", "fleet_id"), SHARED,
)  # fmt: skip


def recompute(
    fleet_id: int, zone: str, wanted: dict[Part, set[Bucket]], slices: Collection[Range] = ()
) -> None:
    """Sum up these days of these vehicles, and the fleet's; of `slices` minutes and hours only. Call within a
    transaction, one at a time per fleet."""
    first = first_day(fleet_id, timezone.now())
    if first is not None:  # their days are gone: what their months say stands
        wanted = {part: {one for one in buckets if one[1] >= first} for part, buckets in wanted.items()}
    if not any(wanted.values()) and not slices:
        return
    gone: set[tuple[str, date]] = set()
    hours: set[Hour] = set()
    score: Callable[[], None] | None = None
    drives: Drives | None = None
    if driving := wanted.get(Part.DRIVING, set()):
        by_vehicle, by_driver, drives, score = _driven(fleet_id, zone, driving)
        hours = hourtrips.keep(fleet_id, zone, driving, by_vehicle, by_driver)
        _keep_vehicles(fleet_id, Part.DRIVING, driving, _by_day(zone, by_vehicle))
        gone = _keep_drivers(fleet_id, driving, _by_drivers_day(zone, by_driver))
    if active := wanted.get(Part.ACTIVITY):
        ranges = _ranges(zone, active)
        for source in sources.activity:
            counted = source.count(ranges)
            found = {bucket: sums for bucket, sums in counted.items() if any(sums.values())}
            _keep_vehicles(fleet_id, Part.ACTIVITY, set(counted), found)
    if (heard := wanted.get(Part.MINUTES, set())) or slices:
        hours |= {(hour.vehicle_id, hour.start) for hour in hourly.keep_heard(fleet_id, zone, heard, slices)}
        driverminutes.keep(fleet_id, [*slices, *_ranges(zone, heard).values()])
    if drives is not None:
        driverminutes.keep(fleet_id, _ranges(zone, driving).values(), drives)
    share_out(fleet_id, hours, HOURS)
    hourly.keep_fleet(fleet_id, (hour for _, hour in hours))
    _keep_days(fleet_id, wanted.get(Part.DRIVING, set()) | wanted.get(Part.ACTIVITY, set()), gone)
    if score is not None:
        score()  # last: devices that tell of these trips wait for the rest of the transaction


def _keep_days(fleet_id: int, touched: set[Bucket], gone: set[tuple[str, date]]) -> None:
    """What is made of the days that are summed up by now."""
    if not touched:
        return
    share_out(fleet_id, touched, DAYS)
    months.keep_vehicles(fleet_id, touched, SEEN, ACTIVE)
    left = (
        DriverDay.objects.filter(_among(touched), fleet=fleet_id).values_list("driver_id", "day").distinct()
    )
    months.keep_drivers(fleet_id, gone | set(left), DRIVEN)
    _keep_fleet(fleet_id, {day for _, day in touched})


def _driven(
    fleet_id: int, zone: str, wanted: set[Bucket]
) -> tuple[dict[Hour, Sums], dict[tuple[str, Hour], Sums], Drives, Callable[[], None]]:
    """By hour, for a day is the sum of its hours; of which drives; and what writes their drivers and scores."""
    by_vehicle: dict[Hour, Sums] = {}
    by_driver: dict[tuple[str, Hour], Sums] = {}

    def add(driver: str, hour: Hour, sums: Mapping[str, int]) -> None:
        by_vehicle.setdefault(hour, Counter()).update(sums)
        if driver:
            by_driver.setdefault((driver, hour), Counter()).update(sums)

    ranges = joined(_ranges(zone, wanted).values())
    night = night_of(fleet_id)
    drives = drives_in.read(fleet_id, ranges)
    for trip in drives.counted:
        for leg in legs(trip, zone, night):
            if (leg.vehicle_id, leg.day) in wanted:
                add(leg.driver_id, (leg.vehicle_id, leg.hour), leg.sums)
    rows = tripscores.Rows(drives, ranges)
    events = begun(fleet_id, joined([*ranges, *rows.spans()]))
    rows.take(events)
    within = [event for event in events if (event.vehicle_id, day_of(zone, event.started_at)) in wanted]
    attribute(within, drives)
    for event in within:
        add(event.driver_id, (event.vehicle_id, hour_of(zone, event.started_at)[0]), cost_of(event))
    for alert in _alerts(fleet_id, ranges):
        hour = alert.vehicle_id, hour_of(zone, alert.first_at)[0]
        add("", hour, {ALERTS[Severity(alert.severity)]: 1})
    return by_vehicle, by_driver, drives, partial(tripscores.keep, fleet_id, zone, night, drives, rows)


def _by_day(zone: str, hours: Mapping[Hour, Sums]) -> dict[Bucket, Sums]:
    found: dict[Bucket, Sums] = {}
    for (vehicle, hour), sums in hours.items():
        found.setdefault((vehicle, day_of(zone, hour)), Counter()).update(sums)
    return found


def _by_drivers_day(zone: str, hours: Mapping[tuple[str, Hour], Sums]) -> dict[tuple[str, Bucket], Sums]:
    found: dict[tuple[str, Bucket], Sums] = {}
    for (driver, (vehicle, hour)), sums in hours.items():
        found.setdefault((driver, (vehicle, day_of(zone, hour))), Counter()).update(sums)
    return found


def _ranges(zone: str, wanted: Iterable[Bucket]) -> dict[Bucket, Range]:
    return {(vehicle, day): Range(vehicle, *bounds(zone, day)) for vehicle, day in wanted}


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
    store(
        _VEHICLES[part],
        [(fleet_id, *bucket, *(sums[name] for name in columns)) for bucket, sums in sorted(found.items())],
    )
    if gone := set(wanted) - found.keys():
        empty = VehicleDay.objects.filter(_among(gone), fleet=fleet_id)
        empty.update(**dict.fromkeys(columns, 0))
        empty.filter(**EMPTY).delete()


def _keep_drivers(
    fleet_id: int, wanted: Collection[Bucket], found: dict[tuple[str, Bucket], Sums]
) -> set[tuple[str, date]]:
    """Answers whose days are gone."""
    values = ((key, [sums[name] for name in OF_DRIVERS]) for key, sums in sorted(found.items()))
    store(_DRIVERS, [(fleet_id, driver, *bucket, *sums) for (driver, bucket), sums in values])
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
