"""Sums of a fleet, vehicle or driver minute by minute, hour by hour, day by day or month by month: rows of a span, and
nothing else."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Sum
from django.db.models.functions import TruncMonth

from fleet.aggregation import statistics
from fleet.aggregation.columns import DRIVEN, SEEN
from fleet.aggregation.days import month_after, month_of
from fleet.aggregation.hours import hours_of
from fleet.aggregation.kept import hours_from, minutes_from
from fleet.aggregation.metrics import METRICS, Metric
from fleet.aggregation.spans import Span, moments, whole_days
from fleet.aggregation.statistics import Point, value_of
from fleet.aggregation.sums import Sums
from fleet.models import (
    DriverDay,
    DriverHour,
    DriverMinute,
    FleetDay,
    FleetHour,
    FleetMinute,
    VehicleDay,
    VehicleHour,
    VehicleMinute,
)

Moment = date
"""The first day of a month, a day, or the first moment of an hour or minute."""


class Resolution(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


LONGEST = {Resolution.MINUTE: timedelta(days=1), Resolution.HOUR: timedelta(days=62)}
"""Of a span, so that there are at most some 1,500 points."""
BY_MINUTE = ("distance", "driving_hours", "average_speed", "records", "active_vehicles")
"""Metrics that records tell without trips."""
_MOVED = {"distance_mm": "moved_mm", "driving_ms": "timed_ms", "timed_ms": "timed_ms"}
"""What records say in the words of trips: distance and time moving."""
_MINUTES_UNTIL, _HOURS_UNTIL, _DAYS_UNTIL = timedelta(hours=3), timedelta(days=3), timedelta(days=731)


def fitting(span: Span, metric: Metric, now: datetime) -> Resolution:
    """The finest that is still read at a glance, and that is kept."""
    opens, closes = moments(span)
    lasts = closes - opens
    # A day of 25 hours is a day.
    if lasts <= _MINUTES_UNTIL and not unfit(Resolution.MINUTE, span, metric, now):
        return Resolution.MINUTE
    if lasts <= _HOURS_UNTIL + timedelta(hours=1) and not unfit(Resolution.HOUR, span, metric, now):
        return Resolution.HOUR
    if lasts > _DAYS_UNTIL + timedelta(days=1) and not unfit(Resolution.MONTH, span, metric, now):
        return Resolution.MONTH
    return Resolution.DAY


def unfit(resolution: Resolution, span: Span, metric: Metric, now: datetime) -> str:
    """Why it cannot be had; empty: it can."""
    opens, closes = moments(span)
    longest = LONGEST.get(resolution)
    if longest and closes - opens > longest + timedelta(hours=1):
        return f"By {resolution} at most {longest // timedelta(hours=1)} hours."
    if resolution is Resolution.MINUTE and metric.name not in BY_MINUTE:
        names = ", ".join(name for name in METRICS if name in BY_MINUTE)
        return f"{metric.name} is not known by minute: only {names}."
    if resolution is Resolution.MONTH and metric.name == "active_vehicles":
        return "Vehicles that were active on several days cannot be added up: ask by day."
    kept = {Resolution.MINUTE: minutes_from, Resolution.HOUR: hours_from}.get(resolution)
    if kept and opens < kept(now):
        return f"By {resolution} from {kept(now):%Y-%m-%d} on: older sums are by day."
    return ""


def points(
    metric: Metric, span: Span, resolution: Resolution, sums: Mapping[Any, Sums], now: datetime
) -> list[Point]:
    """One for every minute, hour, day or month, up to now; nothing is 0, or no value, as the metric says."""
    here = ZoneInfo(span.zone)
    found = []
    for moment in ticks(span, resolution, now):
        value = value_of(metric, sums.get(moment, Sums()))
        if isinstance(moment, datetime):
            local = moment.astimezone(here)
            found.append(Point(local.date(), value, local))
        else:
            found.append(Point(moment, value))
    return found


def ticks(span: Span, resolution: Resolution, now: datetime) -> Iterator[Moment]:
    opens, closes = moments(span)
    match resolution:
        case Resolution.MINUTE:
            for number in range(int((min(closes, now) - opens) / timedelta(minutes=1)) + 1):
                if opens + timedelta(minutes=number) < closes:
                    yield opens + timedelta(minutes=number)
        case Resolution.HOUR:
            for day in _days(span):
                yield from (hour for hour, _ in hours_of(span.zone, day) if opens <= hour < min(closes, now))
        case Resolution.DAY:
            yield from _days(span)
        case Resolution.MONTH:
            month = month_of(span.first)
            while month <= span.last:
                yield month
                month = month_after(month)


def _days(span: Span) -> Iterator[date]:
    for number in range((span.last - span.first).days + 1):
        yield span.first + timedelta(days=number)


def of_fleet(fleet_id: int, span: Span, resolution: Resolution) -> dict[Any, Sums]:
    """By moment; one query of at most a row for each."""
    opens, closes = moments(span)
    if resolution is Resolution.MINUTE:
        minutes = FleetMinute.objects.filter(fleet=fleet_id, minute__gte=opens, minute__lt=closes)
        return {
            row.minute: Sums(
                **{name: getattr(row, column) for name, column in _MOVED.items()},
                records=row.records,
                active=row.active_vehicles,
            )
            for row in minutes
        }
    if resolution is Resolution.HOUR:
        hours = FleetHour.objects.filter(fleet=fleet_id, hour__gte=opens, hour__lt=closes)
        return {
            row["hour"]: Sums.of(row | {"active": row["active_vehicles"]})
            for row in hours.values("hour", "active_vehicles", *SEEN)
        }
    if resolution is Resolution.DAY:
        return {**statistics.by_day(fleet_id, whole_days(span))}
    days = FleetDay.objects.filter(fleet=fleet_id, day__gte=span.first, day__lte=span.last)
    months = days.values(month=TruncMonth("day")).order_by("month")
    return {row["month"]: Sums.of(row) for row in months.annotate(**{name: Sum(name) for name in SEEN})}


def of_vehicle(fleet_id: int, vehicle_id: int, span: Span, resolution: Resolution) -> dict[Any, Sums]:
    """By moment; one query."""
    tables = VehicleMinute, VehicleHour, VehicleDay
    return _of_one(tables, {"fleet": fleet_id, "vehicle": vehicle_id}, SEEN, span, resolution)


def of_driver(fleet_id: int, driver: str, span: Span, resolution: Resolution) -> dict[Any, Sums]:
    """The same of whoever cars call so, whatever they drove."""
    tables = DriverMinute, DriverHour, DriverDay
    return _of_one(tables, {"fleet": fleet_id, "driver_id": driver}, DRIVEN, span, resolution)


def _of_one(
    tables: tuple[Any, Any, Any],
    whose: dict[str, Any],
    names: Collection[str],
    span: Span,
    resolution: Resolution,
) -> dict[Any, Sums]:
    opens, closes = moments(span)
    minutes, hours, days = (table.objects.filter(**whose) for table in tables)
    active = Count("vehicle", distinct=True)
    if resolution is Resolution.MINUTE:
        rows = minutes.filter(minute__gte=opens, minute__lt=closes).values("minute").order_by("minute")
        sums = {name: Sum(column) for name, column in (*_MOVED.items(), ("records", "records"))}
        return {row["minute"]: Sums.of(row) for row in rows.annotate(active=active, **sums)}
    if resolution is Resolution.HOUR:
        rows = hours.filter(hour__gte=opens, hour__lt=closes).values(at=F("hour"))
    else:
        rows = days.filter(day__gte=span.first, day__lte=span.last)
        rows = rows.values(at=F("day") if resolution is Resolution.DAY else TruncMonth("day"))
    rows = rows.order_by("at").annotate(active=active, **{name: Sum(name) for name in names})
    return {row["at"]: Sums.of(row) for row in rows}


def of_vehicles(
    fleet_id: int, span: Span, resolution: Resolution, among: Collection[int]
) -> dict[int, dict[Any, Sums]]:
    """By hour or by day."""
    if resolution is not Resolution.HOUR:
        return {**statistics.by_vehicle_and_day(fleet_id, whole_days(span), among)}
    opens, closes = moments(span)
    found: dict[int, dict[Any, Sums]] = {pk: {} for pk in among}
    hours = VehicleHour.objects.filter(fleet=fleet_id, vehicle__in=among, hour__gte=opens, hour__lt=closes)
    for row in hours.values("vehicle", "hour", *SEEN):
        found[row["vehicle"]][row["hour"]] = Sums.of(row | {"active": 1})
    return found
