"""Visits of geofences: which vehicle was where, from when until when, and who drove it there."""

from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from fleet.aggregation.legs import LONGEST
from fleet.models import Driver, DriverAssignment, Edge, FenceKind, TripSummary, Visit
from fleet.reports.columns import Column, Kind, Total
from fleet.reports.places import VEHICLE
from fleet.reports.report import Ask, Order, QuerySource, Report
from fleet.reports.sql import Seconds, opens_closes

_EDGES = {
    Edge.RECORD: "record",
    Edge.BETWEEN: "interpolated",
    Edge.GAP: "gap",
    Edge.CHANGED: "geofence changed",
}


def query(ask: Ask) -> "QuerySet[Any]":
    opens, closes = opens_closes(ask)
    rows = Visit.objects.filter(
        geofence__fleet=ask.fleet, confirmed=True, entered_at__gte=opens, entered_at__lt=closes
    )
    if ask.vehicles is not None:
        rows = rows.filter(vehicle__in=ask.vehicles)
    if ask.drivers is None:
        return rows
    return rows.alias(by=drove()).filter(by__in=ask.drivers)


def drove() -> Coalesce:
    """As driving events are attributed: whom the summary names in which it entered, of several the one begun last; else
    whom the vehicle was assigned to."""
    lasted = Seconds(F("start_time"), OuterRef("entered_at"))
    within = TripSummary.objects.alias(after_s=lasted).filter(
        Q(end_time__gte=OuterRef("entered_at")) | Q(end_time=None, duration_s__gte=F("after_s")),
        vehicle=OuterRef("vehicle"),
        fleet=OuterRef("geofence__fleet"),
        start_time__lte=OuterRef("entered_at"),
        start_time__gte=OuterRef("entered_at") - LONGEST,
    )
    named = within.exclude(driver_id="").order_by("-start_time", "-id").values("driver_id")
    had = DriverAssignment.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=OuterRef("entered_at")),
        vehicle=OuterRef("vehicle"),
        fleet=OuterRef("geofence__fleet"),
        started_at__lte=OuterRef("entered_at"),
    )
    assigned = had.order_by("-started_at").values("driver__slug")
    return Coalesce(Subquery(named[:1]), Subquery(assigned[:1]), Value(""))


def _name() -> Subquery:
    known = Driver.objects.filter(fleet=OuterRef("geofence__fleet"), slug=OuterRef("c_driver"))
    return Subquery(known.values("name")[:1])


REPORT = Report(
    name="visits",
    title="Geofence visits",
    text="Which vehicle was in which geofence, from when until when, and who drove it there.",
    by_driver=True,
    order=Order("entered", down=True),
    definition="Visits of at least the geofence’s minimum stay, on the day on which they began. A crossing between two "
    "records is interpolated; beside a gap it is the nearest record within. Who is still there has not left. Who drove "
    "follows from the device’s trips.",
    source=QuerySource(query),
    columns=(
        Column("entered", "Entered", Kind.MOMENT, "entered_at"),
        Column("left", "Left", Kind.MOMENT, "left_at"),
        Column("geofence", "Geofence", field="geofence__name"),
        *VEHICLE,
        Column("driver", "Driver", field=drove()),
        Column("driver_name", "Driver’s name", field=_name()),
        Column("duration", "Duration", Kind.DURATION, Seconds(F("entered_at"), F("left_at")), Total.SUM,
               about="Not known while it is there."),
        Column("there", "Still there", Kind.FLAG, Q(left_at__isnull=True)),
        Column("entry", "Entry known by", words=_EDGES),
        Column("exit", "Exit known by", words=_EDGES),
        Column("dwelled", "Dwelled from", Kind.MOMENT, "dwelled_at", usual=False),
        Column("on_schedule", "In its hours", Kind.FLAG, usual=False),
        Column("kind", "Kind of geofence", field="geofence__kind", usual=False,
               words={one.value: one.label.lower() for one in FenceKind}),
    ),
)  # fmt: skip
