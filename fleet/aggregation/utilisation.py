"""How much of a week's hours a fleet's vehicles are driven: the mean of whole weeks, by weekday and hour."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from fleet.aggregation.days import Period, day_of
from fleet.aggregation.hours import hours_of
from fleet.aggregation.spans import moments
from fleet.models import FleetHour, Kind, Vehicle

WEEKS, WEEKS_MOST = 4, 26
Cell = tuple[int, int]
"""Weekday (Monday: 0) and hour of the clock."""


@dataclass(frozen=True, slots=True)
class Week:
    period: Period
    vehicles: int
    """Now."""
    shares: dict[Cell, float | None]
    """0 to 1, of the time of all vehicles; None where the weeks have no such hour."""

    @property
    def busiest(self) -> float:
        return max((share for share in self.shares.values() if share is not None), default=0.0)


def week_of(fleet_id: int, zone: str, now: datetime, weeks: int = WEEKS) -> Week:
    """The last whole days. Two queries, of 168 rows a week."""
    last = day_of(zone, now) - timedelta(days=1)
    period = Period(last - timedelta(days=7 * weeks - 1), last, zone)
    opens, closes = moments(period)
    vehicles = Vehicle.objects.filter(fleet=fleet_id, kind=Kind.VEHICLE).count()
    hours = FleetHour.objects.filter(fleet=fleet_id, hour__gte=opens, hour__lt=closes)
    driven_ms, lasted_ms = Counter[Cell](), Counter[Cell]()
    driven = dict(hours.values_list("hour", "driving_ms"))
    here = ZoneInfo(zone)
    for day in period:
        for hour, end in hours_of(zone, day):
            cell = _cell(day, hour.astimezone(here))
            driven_ms[cell] += driven.get(hour, 0)
            lasted_ms[cell] += (end - hour) // timedelta(milliseconds=1)
    return Week(
        period,
        vehicles,
        {
            (weekday, hour): _share(driven_ms[weekday, hour], vehicles * lasted_ms[weekday, hour])
            for weekday in range(7)
            for hour in range(24)
        },
    )


def _cell(day: date, local: datetime) -> Cell:
    return day.weekday(), local.hour


def _share(driven_ms: int, most_ms: int) -> float | None:
    return round(min(1.0, driven_ms / most_ms), 4) if most_ms else None
