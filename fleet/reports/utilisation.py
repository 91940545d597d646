"""How much each vehicle was used, those that stood still included."""

from collections.abc import Iterator
from datetime import datetime

from django.utils import timezone

from fleet.aggregation import statistics
from fleet.aggregation.days import bounds
from fleet.aggregation.sums import Sums
from fleet.reports.columns import Column, Kind, Total, rate
from fleet.reports.report import Ask, ListSource, Order, Report, Row
from fleet.reports.rules import trip_rules


def rows(ask: Ask) -> Iterator[Row]:
    """Two queries. The period's time is counted up to now."""
    vehicles = statistics.vehicles_of(ask.fleet.pk)
    wanted = set(vehicles) if ask.vehicles is None else set(ask.vehicles)
    sums = statistics.by_vehicle(ask.fleet.pk, ask.period)
    seconds, days = _passed(ask, timezone.now())
    for pk, vehicle in vehicles.items():
        if pk not in wanted or (vehicle.retired_at and pk not in sums):
            continue
        one = sums.get(pk, Sums())
        yield (
            vehicle.name, vehicle.plate, one.active, days, rate(one.active, days), max(0, days - one.active),
            one.driving_s, rate(one.driving_s, seconds), one.distance_m, one.trips, rate(one.distance_m, one.active),
        )  # fmt: skip


def _passed(ask: Ask, now: datetime) -> tuple[float, int]:
    """Seconds and days of the period that are over, or have begun."""
    period = ask.period
    first, end = bounds(period.zone, period.first)[0], bounds(period.zone, period.last)[1]
    begun = sum(1 for day in period if bounds(period.zone, day)[0] <= now)
    return max(0.0, (min(end, now) - first).total_seconds()), begun


REPORT = Report(
    name="utilisation",
    title="Utilisation",
    text="Active days, hours and distance of each vehicle; and which stood still.",
    order=Order("active_share", down=True),
    definition="A vehicle is active on a day with a trip or with telemetry. Time is the period’s, up to now.",
    settings=trip_rules,
    source=ListSource(rows),
    columns=(
        Column("vehicle", "Vehicle"),
        Column("plate", "Plate"),
        Column("active_days", "Active days", Kind.WHOLE, total=Total.SUM),
        Column("days", "Days", Kind.WHOLE, total=Total.SUM, usual=False),
        Column("active_share", "Active", Kind.SHARE, "", lambda sums: rate(sums["active_days"], sums["days"])),
        Column("idle_days", "Days without use", Kind.WHOLE, total=Total.SUM),
        Column("driving", "Driving time", Kind.DURATION, total=Total.SUM),
        Column("driving_share", "Of all time", Kind.SHARE, about="Driving time by the period’s time."),
        Column("distance", "Distance", Kind.DISTANCE, total=Total.SUM),
        Column("trips", "Trips", Kind.WHOLE, total=Total.SUM),
        Column("distance_a_day", "Distance an active day", Kind.DISTANCE, "",
               lambda sums: rate(sums["distance"], sums["active_days"])),
    ),
)  # fmt: skip
