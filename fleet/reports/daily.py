"""Vehicles day by day, from their sums by day."""

from typing import Any

from django.db.models import ExpressionWrapper, F, FloatField, QuerySet, Value
from django.db.models.functions import NullIf

from fleet.aggregation.columns import ACTIVE
from fleet.models import VehicleDay
from fleet.reports.columns import Column, Kind, Total, rate
from fleet.reports.report import Ask, Order, QuerySource, Report
from fleet.reports.rules import trip_rules


def query(ask: Ask) -> "QuerySet[VehicleDay]":
    rows = VehicleDay.objects.filter(
        ACTIVE, fleet=ask.fleet, day__gte=ask.period.first, day__lte=ask.period.last
    )
    return rows if ask.vehicles is None else rows.filter(vehicle__in=ask.vehicles)


def _by(amount: str, base: float | str) -> Any:
    """A quotient; NULL where there is nothing to divide by."""
    under = Value(base) if isinstance(base, float) else NullIf(F(base) * Value(1.0), Value(0.0))
    return ExpressionWrapper(F(amount) * Value(1.0) / under, output_field=FloatField())


REPORT = Report(
    name="daily",
    title="Daily summary",
    text="Each vehicle’s days: trips, distance, hours, alerts.",
    order=Order("day", down=True),
    definition="Days with a trip or with telemetry, in the fleet’s time zone. What a trip drove after midnight counts "
    "for the next day; the trip itself for the day on which it began.",
    settings=trip_rules,
    source=QuerySource(query, ("vehicle__name", "pk")),
    columns=(
        Column("day", "Day", Kind.DAY),
        Column("vehicle", "Vehicle", field="vehicle__name"),
        Column("plate", "Plate", field="vehicle__plate"),
        Column("trips", "Trips", Kind.WHOLE, total=Total.SUM),
        Column("distance", "Distance", Kind.DISTANCE, _by("distance_mm", 1e3), Total.SUM),
        Column("driving", "Driving time", Kind.DURATION, _by("driving_ms", 1e3), Total.SUM),
        Column("mean_speed", "Mean speed", Kind.SPEED, _by("distance_mm", "driving_ms"),
               lambda sums: rate(sums["distance"], sums["driving"]), about="In total: all metres by all seconds."),
        Column("risk", "Mean risk", Kind.NUMBER, _by("risk_mm", "scored_mm"), digits=2,
               about="0 to 1, weighted by distance."),
        Column("alerts_critical", "Critical alerts", Kind.WHOLE, total=Total.SUM),
        Column("alerts_warning", "Warnings", Kind.WHOLE, total=Total.SUM),
        Column("alerts_info", "Information", Kind.WHOLE, total=Total.SUM, usual=False),
        Column("records", "Telemetry records", Kind.WHOLE, total=Total.SUM, usual=False),
    ),
)  # fmt: skip
