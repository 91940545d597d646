"""Sums by hour of what trips, events and alerts say: written only where they differ from what is stored."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from fleet.aggregation.columns import COLUMNS, EMPTY, HEARD, MOVED, OF_DRIVERS, SHARED
from fleet.aggregation.days import bounds
from fleet.aggregation.kept import hours_from
from fleet.aggregation.sources import Bucket, Sums
from fleet.aggregation.upserts import Target, store
from fleet.models import DriverHour, Part, VehicleHour

Hour = tuple[int, datetime]
"""A vehicle and the first moment of an hour."""
_OF_TRIPS = COLUMNS[Part.DRIVING]
_VEHICLES = Target(
    "rollup_vehicle_hour", ("fleet_id", "vehicle_id", "hour"), _OF_TRIPS, ("vehicle_id", "hour", "fleet_id"),
    (*HEARD, *MOVED),
)  # fmt: skip
_DRIVERS = Target(
    "rollup_driver_hour", ("fleet_id", "driver_id", "vehicle_id", "hour"), OF_DRIVERS,
    ("vehicle_id", "hour", "driver_id", "fleet_id"), SHARED,
)  # fmt: skip


def keep(
    fleet_id: int,
    zone: str,
    days: Collection[Bucket],
    by_vehicle: Mapping[Hour, Sums],
    by_driver: Mapping[tuple[str, Hour], Sums],
) -> set[Hour]:
    """The hours of these days of vehicles. Answers those that changed, of the vehicle or of a driver."""
    first = hours_from(timezone.now())
    within = _within(zone, days, first)
    if within is None:
        return set()
    found = {hour: sums for hour, sums in by_vehicle.items() if hour[1] >= first and any(sums.values())}
    changed = _keep_vehicles(fleet_id, within, found)
    return changed | _keep_drivers(
        fleet_id, within, {key: sums for key, sums in by_driver.items() if key[1][1] >= first}
    )


def _keep_vehicles(fleet_id: int, within: Q, found: Mapping[Hour, Sums]) -> set[Hour]:
    known = {
        (vehicle, hour): values
        for vehicle, hour, *values in VehicleHour.objects.filter(within, fleet=fleet_id).values_list(
            "vehicle_id", "hour", *_OF_TRIPS
        )
    }
    values = ((key, [sums[name] for name in _OF_TRIPS]) for key, sums in sorted(found.items()))
    changed = {key: sums for key, sums in values if known.get(key) != sums}
    store(_VEHICLES, [(fleet_id, *key, *sums) for key, sums in changed.items()])
    gone = {key for key, values in known.items() if any(values) and key not in found}
    if gone:
        empty = VehicleHour.objects.filter(_among(gone), fleet=fleet_id)
        empty.update(**dict.fromkeys(_OF_TRIPS, 0))
        empty.filter(**EMPTY).delete()
    return gone | changed.keys()


def _keep_drivers(fleet_id: int, within: Q, found: Mapping[tuple[str, Hour], Sums]) -> set[Hour]:
    known: dict[tuple[str, Hour], tuple[int, list[Any]]] = {
        (driver, (vehicle, hour)): (pk, values)
        for pk, driver, vehicle, hour, *values in DriverHour.objects.filter(
            within, fleet=fleet_id
        ).values_list("pk", "driver_id", "vehicle_id", "hour", *OF_DRIVERS)
    }
    values = ((key, [sums[name] for name in OF_DRIVERS]) for key, sums in sorted(found.items()))
    changed = {key: sums for key, sums in values if key not in known or known[key][1] != sums}
    store(_DRIVERS, [(fleet_id, driver, *hour, *sums) for (driver, hour), sums in changed.items()])
    gone = {key: pk for key, (pk, _) in known.items() if key not in found}
    if gone:
        DriverHour.objects.filter(pk__in=list(gone.values())).delete()
    return {hour for _, hour in (*gone, *changed)}


def _within(zone: str, days: Iterable[Bucket], first: datetime) -> Q | None:
    by_day: dict[date, list[int]] = defaultdict(list)
    for vehicle, day in days:
        by_day[day].append(vehicle)
    condition: Q | None = None
    for day, vehicles in sorted(by_day.items()):
        opens, closes = bounds(zone, day)
        if closes > first:
            one = Q(hour__gte=max(opens, first), hour__lt=closes, vehicle_id__in=vehicles)
            condition = one if condition is None else condition | one
    return condition


def _among(hours: Iterable[Hour]) -> Q:
    by_hour: dict[datetime, list[int]] = defaultdict(list)
    for vehicle, hour in hours:
        by_hour[hour].append(vehicle)
    condition = Q()
    for hour, vehicles in by_hour.items():
        condition |= Q(hour=hour, vehicle_id__in=vehicles)
    return condition
