"""Sums by hour of what trips, events and alerts say: written only where they differ from what is stored."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from fleet.aggregation.columns import COLUMNS, EMPTY, SEEN
from fleet.aggregation.days import bounds
from fleet.aggregation.kept import hours_from
from fleet.aggregation.sources import Bucket, Sums
from fleet.models import DriverHour, Part, VehicleHour

Hour = tuple[int, datetime]
"""A vehicle and the first moment of an hour."""
_OF_TRIPS = COLUMNS[Part.DRIVING]
_OF_DRIVERS = tuple(name for name in SEEN if name in _OF_TRIPS and not name.startswith("alerts_"))
_AT_ONCE = 2_000


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
    rows = [
        VehicleHour(
            fleet_id=fleet_id, vehicle_id=key[0], hour=key[1], **{name: sums[name] for name in _OF_TRIPS}
        )
        for key, sums in sorted(found.items())
        if known.get(key) != [sums[name] for name in _OF_TRIPS]
    ]
    VehicleHour.objects.bulk_create(
        rows,
        batch_size=_AT_ONCE,
        update_conflicts=True,
        unique_fields=["vehicle", "hour", "fleet"],
        update_fields=_OF_TRIPS,
    )
    gone = {key for key, values in known.items() if any(values) and key not in found}
    if gone:
        empty = VehicleHour.objects.filter(_among(gone), fleet=fleet_id)
        empty.update(**dict.fromkeys(_OF_TRIPS, 0))
        empty.filter(**EMPTY).delete()
    return gone | {(row.vehicle_id, row.hour) for row in rows}


def _keep_drivers(fleet_id: int, within: Q, found: Mapping[tuple[str, Hour], Sums]) -> set[Hour]:
    known: dict[tuple[str, Hour], tuple[int, list[Any]]] = {
        (driver, (vehicle, hour)): (pk, values)
        for pk, driver, vehicle, hour, *values in DriverHour.objects.filter(
            within, fleet=fleet_id
        ).values_list("pk", "driver_id", "vehicle_id", "hour", *_OF_DRIVERS)
    }
    rows = [
        DriverHour(
            fleet_id=fleet_id, driver_id=key[0], vehicle_id=key[1][0], hour=key[1][1],
            **{name: sums[name] for name in _OF_DRIVERS},
        )
        for key, sums in sorted(found.items())
        if key not in known or known[key][1] != [sums[name] for name in _OF_DRIVERS]
    ]  # fmt: skip
    DriverHour.objects.bulk_create(
        rows,
        batch_size=_AT_ONCE,
        update_conflicts=True,
        unique_fields=["vehicle", "hour", "driver_id", "fleet"],
        update_fields=_OF_DRIVERS,
    )
    gone = {key: pk for key, (pk, _) in known.items() if key not in found}
    if gone:
        DriverHour.objects.filter(pk__in=list(gone.values())).delete()
    return {hour for _, hour in gone} | {(row.vehicle_id, row.hour) for row in rows}


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
