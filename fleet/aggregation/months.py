"""Sums by month, made of the sums by day: a long period costs whole months and the days left over at its ends."""

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncMonth

from fleet.aggregation.days import ONE_DAY, Period, month_after, month_of
from fleet.aggregation.upserts import Target, store
from fleet.models import DriverDay, DriverMonth, VehicleDay, VehicleMonth

LEAST_DAYS = 62
"""A shorter period is read by day: it hardly has a whole month."""


def whole(period: Period) -> tuple[date, date] | None:
    """The first month that lies wholly within a long period, and the first that does not any more."""
    if period.days < LEAST_DAYS:
        return None
    first = period.first if period.first.day == 1 else month_after(period.first)
    after = month_of(period.last + ONE_DAY)
    return (first, after) if first < after else None


def days_beside(period: Period) -> Q:
    """Of rows by day, those that no whole month stands for."""
    inside = Q(day__gte=period.first, day__lte=period.last)
    months = whole(period)
    return inside & (Q(day__lt=months[0]) | Q(day__gte=months[1])) if months else inside


def keep_vehicles(
    fleet_id: int, touched: Collection[tuple[int, date]], names: Collection[str], active: Q
) -> None:
    """From the days of these vehicles' months, which are summed up by now. Three statements."""
    months = {(vehicle, month_of(day)) for vehicle, day in touched}
    rows = _summed(
        VehicleDay.objects.filter(fleet=fleet_id), "vehicle", months, names, Count("id", filter=active)
    )
    store(
        Target(
            "rollup_vehicle_month",
            ("fleet_id", "vehicle_id", "month"),
            (*names, "active"),
            ("vehicle_id", "month", "fleet_id"),
        ),
        [
            (fleet_id, row["vehicle"], row["month"], *(row[name] for name in (*names, "active")))
            for row in rows
        ],
    )
    left = {(row["vehicle"], row["month"]) for row in rows}
    if gone := months - left:
        VehicleMonth.objects.filter(_among("vehicle", gone), fleet=fleet_id).delete()


def keep_drivers(fleet_id: int, touched: Collection[tuple[str, date]], names: Collection[str]) -> None:
    """The same for drivers, whatever they drove."""
    months = {(driver, month_of(day)) for driver, day in touched}
    if not months:
        return
    rows = _summed(
        DriverDay.objects.filter(fleet=fleet_id), "driver_id", months, names, Count("day", distinct=True)
    )
    store(
        Target(
            "rollup_driver_month",
            ("fleet_id", "driver_id", "month"),
            (*names, "active"),
            ("fleet_id", "month", "driver_id"),
        ),
        [
            (fleet_id, row["driver_id"], row["month"], *(row[name] for name in (*names, "active")))
            for row in rows
        ],
    )
    if gone := months - {(row["driver_id"], row["month"]) for row in rows}:
        DriverMonth.objects.filter(_among("driver_id", gone), fleet=fleet_id).delete()


def _summed(
    days: Any,
    who: str,
    months: Iterable[tuple[Any, date]],
    names: Iterable[str],
    active: Count,
) -> list[dict[str, Any]]:
    condition = Q()
    for month, members in _by_month(months).items():
        condition |= Q(day__gte=month, day__lt=month_after(month), **{f"{who}__in": members})
    rows = days.filter(condition).values(who, month=TruncMonth("day"))
    return list(rows.annotate(active=active, **{name: Sum(name) for name in names}).order_by("month", who))


def _among(who: str, months: Iterable[tuple[Any, date]]) -> Q:
    condition = Q()
    for month, members in _by_month(months).items():
        condition |= Q(month=month, **{f"{who}__in": members})
    return condition


def _by_month(months: Iterable[tuple[Any, date]]) -> dict[date, list[Any]]:
    found: dict[date, list[Any]] = {}
    for member, month in sorted(months):
        found.setdefault(month, []).append(member)
    return found
