"""What pages and API say about a fleet's past: read from its sums by hour, day and month, never from trips."""

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from fleet.aggregation import months
from fleet.aggregation.columns import ACTIVE, DRIVEN, SEEN
from fleet.aggregation.days import Period
from fleet.aggregation.metrics import Better, Metric
from fleet.aggregation.spans import Span, Window
from fleet.aggregation.sums import Sums
from fleet.behaviour.scoring import is_ranked, shrunk
from fleet.models import (
    DriverDay,
    DriverHour,
    DriverMonth,
    FleetDay,
    FleetHour,
    Kind,
    Vehicle,
    VehicleDay,
    VehicleHour,
    VehicleMonth,
)

Who = TypeVar("Who", bound=Hashable)
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Summary:
    """A fleet in a period. `sums.active` are its active vehicles."""

    sums: Sums
    drivers: int


@dataclass(frozen=True, slots=True)
class Place(Generic[Who]):
    """One row of a ranking; without a rank where there is no value, or too little driving for one."""

    who: Who
    sums: Sums
    value: float | None
    rank: int | None
    rank_before: int | None
    eligible: bool

    @property
    def climbed(self) -> int | None:
        """Places gained since the period before; negative: lost."""
        return None if self.rank is None or self.rank_before is None else self.rank_before - self.rank


@dataclass(frozen=True, slots=True)
class Point:
    day: date
    value: float | None
    at: datetime | None = None
    """Of a minute or hour its first moment, in the fleet's zone."""

    @property
    def clock(self) -> str:
        return f"{self.at:%H:%M}" if self.at else ""


def value_of(metric: Metric, sums: Sums) -> float | None:
    value = metric.value(sums)
    return None if value is None else round(value, DIGITS)


def pulled(metric: Metric, sums: Sums, mean: float | None) -> float | None:
    """The value, towards the mean of all where too little was driven for it to say much."""
    value = metric.value(sums)
    if metric.shrinks:
        value = shrunk(value, sums, mean)
    return None if value is None else round(value, DIGITS)


def total(parts: Iterable[Sums]) -> Sums:
    found = Sums()
    for one in parts:
        found = found.plus(one)
    return found


def vehicles_of(fleet_id: int) -> dict[int, Vehicle]:
    """What drives, by primary key and in order of name; sites do not."""
    return {vehicle.pk: vehicle for vehicle in Vehicle.objects.filter(fleet=fleet_id, kind=Kind.VEHICLE)}


def summary(fleet_id: int, period: Span) -> Summary:
    """Three queries; five of a long period."""
    if isinstance(period, Window):
        row = _of_window(FleetHour, fleet_id, period).aggregate(**_sums(SEEN))
    else:
        row = _within(FleetDay.objects.all(), fleet_id, period).aggregate(**_sums(SEEN))
    days, by_month = _split(_VEHICLES, fleet_id, period)
    active = days.filter(ACTIVE, vehicle__kind=Kind.VEHICLE)
    if by_month is not None:
        by_month = by_month.filter(active__gt=0, vehicle__kind=Kind.VEHICLE)
    row["active"] = _count("vehicle", active, by_month)
    return Summary(Sums.of(row), _count("driver_id", *_split(_DRIVERS, fleet_id, period)))


def by_vehicle(fleet_id: int, period: Span, among: Collection[int] = ()) -> dict[int, Sums]:
    days, by_month = _split(_VEHICLES, fleet_id, period)
    if among:
        days = days.filter(vehicle__in=among)
        by_month = None if by_month is None else by_month.filter(vehicle__in=among)
    active = _active_days(period) if isinstance(period, Window) else Count("id", filter=ACTIVE)
    return _added("vehicle", SEEN, days, by_month, active)


def by_driver(fleet_id: int, period: Span) -> dict[str, Sums]:
    """By the name that cars call the driver."""
    days, by_month = _split(_DRIVERS, fleet_id, period)
    if isinstance(period, Window):
        return _added("driver_id", DRIVEN, days, None, _active_days(period, filter=None))
    return _added("driver_id", DRIVEN, days, by_month, Count("day", distinct=True))


def by_day(fleet_id: int, period: Period) -> dict[date, Sums]:
    rows = _within(FleetDay.objects.all(), fleet_id, period).values("day", "active_vehicles", *SEEN)
    return {row["day"]: Sums.of(row | {"active": row["active_vehicles"]}) for row in rows}


def by_vehicle_and_day(fleet_id: int, period: Period, among: Collection[int]) -> dict[int, dict[date, Sums]]:
    rows = _within(VehicleDay.objects.all(), fleet_id, period).filter(vehicle__in=among)
    found: dict[int, dict[date, Sums]] = {pk: {} for pk in among}
    for row in rows.values("vehicle", "day", *SEEN):
        found[row["vehicle"]][row["day"]] = Sums.of(row | {"active": 1})
    return found


def points(metric: Metric, period: Period, days: Mapping[date, Sums]) -> list[Point]:
    """One for every day; a day without data has what the metric says of nothing: 0, or no value."""
    return [Point(day, value_of(metric, days.get(day, Sums()))) for day in period]


def ranked(
    metric: Metric, now: Mapping[Who, Sums], before: Mapping[Who, Sums], names: Mapping[Who, str]
) -> list[Place[Who]]:
    """Everybody in `names`, best first; equal values share a rank. Who cannot be ranked stands at the end, by name."""
    ranks, ranks_before = (_ranks(metric, sums, names) for sums in (now, before))
    mean = metric.value(total(now.values())) if metric.shrinks else None
    places = [
        Place(
            who,
            sums := now.get(who, Sums()),
            pulled(metric, sums, mean),
            ranks.get(who),
            ranks_before.get(who),
            _may_be_ranked(metric, sums),
        )
        for who in names
    ]
    return sorted(places, key=lambda p: (p.rank is None, p.rank or 0, names[p.who].casefold(), str(p.who)))


def vehicle_ranking(
    fleet_id: int, metric: Metric, period: Span, vehicles: Mapping[int, Vehicle]
) -> list[Place[int]]:
    """Two queries."""
    names = {pk: vehicle.name for pk, vehicle in vehicles.items()}
    now, before = by_vehicle(fleet_id, period), by_vehicle(fleet_id, period.before)
    return ranked(metric, now, before, names)


def _ranks(metric: Metric, sums: Mapping[Who, Sums], among: Iterable[Who]) -> dict[Who, int]:
    values = {
        who: value
        for who in among
        if (one := sums.get(who))
        and _may_be_ranked(metric, one)
        and (value := value_of(metric, one)) is not None
    }
    order = sorted(values.values(), reverse=metric.better is not Better.LOWER)
    first = {value: place for place, value in reversed(list(enumerate(order, 1)))}
    return {who: first[value] for who, value in values.items()}


def _may_be_ranked(metric: Metric, sums: Sums) -> bool:
    return not metric.is_rate or is_ranked(sums)


def _within(rows: Any, fleet_id: int, period: Period) -> Any:
    return rows.filter(Q(fleet=fleet_id, day__gte=period.first, day__lte=period.last))


_VEHICLES = (VehicleHour, VehicleDay, VehicleMonth)
_DRIVERS = (DriverHour, DriverDay, DriverMonth)


def _split(tables: tuple[Any, Any, Any], fleet_id: int, period: Span) -> tuple[Any, Any | None]:
    """Rows by hour or by day, and by month where the period is long enough to have some: together each day once."""
    by_hour, by_day, by_month = tables
    if isinstance(period, Window):
        return _of_window(by_hour, fleet_id, period), None
    between = months.whole(period)
    rows = by_day.objects.filter(months.days_beside(period), fleet=fleet_id)
    if between is None:
        return rows, None
    first, after = between
    return rows, by_month.objects.filter(fleet=fleet_id, month__gte=first, month__lt=after)


def _of_window(by_hour: Any, fleet_id: int, window: Window) -> Any:
    return by_hour.objects.filter(fleet=fleet_id, hour__gte=window.opens, hour__lt=window.closes)


def _active_days(window: Window, filter: Q | None = ACTIVE) -> Count:
    return Count(TruncDate("hour", tzinfo=ZoneInfo(window.zone)), filter=filter, distinct=True)


def _added(who: str, names: Iterable[str], days: Any, by_month: Any | None, active: Count) -> dict[Any, Sums]:
    sums = _sums(names)
    rows = list(days.values(who).annotate(active=active, **sums).order_by())
    if by_month is not None:
        # Another name: the column is called active too.
        rows += by_month.values(who).annotate(days=Sum("active"), **sums).order_by()
    found: dict[Any, Sums] = {}
    for row in rows:
        one = Sums.of(row if "active" in row else row | {"active": row["days"]})
        found[row[who]] = found[row[who]].plus(one) if row[who] in found else one
    return found


def _count(who: str, days: Any, by_month: Any | None) -> int:
    """How many there are in either."""
    if by_month is None:
        found: int = days.aggregate(count=Count(who, distinct=True))["count"]
        return found
    return len(
        {*days.values_list(who, flat=True).distinct(), *by_month.values_list(who, flat=True).distinct()}
    )


def _sums(names: Iterable[str]) -> dict[str, Sum]:
    return {name: Sum(name) for name in names}
