"""Drivers: how far, how long, how safely; the leaderboard's numbers."""

from collections.abc import Iterator
from typing import Any

from fleet.aggregation import statistics
from fleet.aggregation.metrics import METRICS
from fleet.aggregation.statistics import Place
from fleet.behaviour.scoring import RANKED_FROM_M
from fleet.models import Driver
from fleet.reports.columns import Column, Kind, Total, rate
from fleet.reports.report import Ask, ListSource, Order, Report, Row
from fleet.reports.rules import driving_limits


def rows(ask: Ask) -> Iterator[Row]:
    """Three queries."""
    now = statistics.by_driver(ask.fleet.pk, ask.period)
    before = statistics.by_driver(ask.fleet.pk, ask.period.before)
    places = statistics.ranked(METRICS["safety_score"], now, before, {driver: driver for driver in now})
    names = dict(Driver.objects.filter(fleet=ask.fleet).values_list("slug", "name"))
    for place in places:
        if ask.drivers is None or place.who in ask.drivers:
            yield _row(place, names.get(place.who, ""))


def _row(place: Place[str], name: str) -> tuple[Any, ...]:
    sums = place.sums
    per_100_km = statistics.value_of(METRICS["trip_alerts_per_100km"], sums)
    return (
        place.rank, place.who, name, place.value, place.rank_before, sums.distance_m, sums.driving_s, sums.trips,
        sums.active, rate(sums.distance_m, sums.driving_s), sums.risk, sums.trip_alerts, per_100_km, place.eligible,
    )  # fmt: skip


_RANKED = Column("ranked_from_m", "ranked from", Kind.DISTANCE, loose=True)

REPORT = Report(
    name="drivers",
    title="Driver scorecard",
    text="Each driver’s distance, hours, risk and safety score, ranked.",
    by_driver=True,
    by_vehicle=False,
    order=Order("rank"),
    definition="The score is explained in docs/score.md: 0 to 100, by distance. Ranked from a "
    "least distance on, among all drivers of the fleet.",
    settings=lambda fleet: [(_RANKED, RANKED_FROM_M), *driving_limits(fleet)],
    source=ListSource(rows),
    columns=(
        Column("rank", "Rank", Kind.WHOLE),
        Column("driver", "Driver"),
        Column("name", "Name"),
        Column("score", "Safety score", Kind.NUMBER),
        Column("rank_before", "Rank before", Kind.WHOLE, about="In the period before, of the same length."),
        Column("distance", "Distance", Kind.DISTANCE, total=Total.SUM),
        Column("driving", "Driving time", Kind.DURATION, total=Total.SUM),
        Column("trips", "Trips", Kind.WHOLE, total=Total.SUM),
        Column("days", "Days driven", Kind.WHOLE),
        Column("mean_speed", "Mean speed", Kind.SPEED, "",
               lambda sums: rate(sums["distance"], sums["driving"]), about="In total: all metres by all seconds."),
        Column("risk", "Mean risk", Kind.NUMBER, digits=2, about="0 to 1, weighted by distance."),
        Column("alerts", "Alerts in trips", Kind.WHOLE, total=Total.SUM),
        Column("alerts_per_100_km", "Alerts", Kind.FREQUENCY, about="Of those in trips."),
        Column("ranked", "Enough driving for a rank", Kind.FLAG, usual=False),
    ),
)  # fmt: skip
