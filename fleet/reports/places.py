"""What reports of things that happened at a place and a time have in common."""

from typing import Any

from django.db.models import Case, ExpressionWrapper, F, FloatField, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import NullIf

from fleet.models import Driver
from fleet.reports.columns import Column, Kind
from fleet.reports.report import Ask
from fleet.reports.sql import Seconds, opens_closes

VEHICLE = (
    Column("vehicle", "Vehicle", field="vehicle__name"),
    Column("plate", "Plate", field="vehicle__plate"),
)
PLACE = tuple(
    Column(name, name.capitalize(), Kind.NUMBER, f"{name}_deg", digits=5, loose=True, unit="°")
    for name in ("latitude", "longitude")
)
SOC = (
    Column("soc_from", "Charge at start", Kind.SHARE, F("battery_from_percent") / 100.0, digits=0),
    Column("soc_to", "Charge at end", Kind.SHARE, F("battery_to_percent") / 100.0, digits=0),
)
LASTED = Seconds(F("started_at"), F("ended_at"))


def begun(rows: "QuerySet[Any]", ask: Ask) -> "QuerySet[Any]":
    """Of the fleet, begun in the period, of the vehicles asked for."""
    opens, closes = opens_closes(ask)
    rows = rows.filter(fleet=ask.fleet, started_at__gte=opens, started_at__lt=closes)
    return rows if ask.vehicles is None else rows.filter(vehicle__in=ask.vehicles)


def end_where(over: Any) -> Case:
    """When it ended, if it has."""
    return Case(When(over, then=F("ended_at")))


def quotient(amount: Any, base: Any) -> Any:
    """NULL where there is nothing to divide by."""
    return ExpressionWrapper(amount * 1.0 / NullIf(base * 1.0, Value(0.0)), output_field=FloatField())


def driver_named(slug: str = "driver_id") -> Subquery:
    known = Driver.objects.filter(fleet=OuterRef("fleet"), slug=OuterRef(slug))
    return Subquery(known.values("name")[:1])


RECONSTRUCTED = Column(
    "reconstructed", "Reconstructed", Kind.SHARE, quotient(F("reconstructed"), F("values")), usual=False,
    about="Of the values it was found in: left out by the vehicle, filled in by the server.",
)  # fmt: skip
UNHEARD = Column(
    "unheard", "Unheard", Kind.DURATION, "unheard_s", usual=False, about="Of it, silences of the vehicle."
)
