"""Trips that began in the period, newest first: as devices sum them up.

Another source of trips is another query with the same fields; nothing else of the report changes.
"""

from typing import Any

from django.db.models import IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from fleet.days import bounds
from fleet.models import Driver, TripSummary
from fleet.reports.columns import Column, Kind, Total, rate
from fleet.reports.report import Ask, Order, QuerySource, Report


def query(ask: Ask) -> "QuerySet[TripSummary]":
    zone = ask.period.zone
    first, end = bounds(zone, ask.period.first)[0], bounds(zone, ask.period.last)[1]
    rows = TripSummary.objects.filter(fleet=ask.fleet, start_time__gte=first, start_time__lt=end)
    if ask.vehicles is not None:
        rows = rows.filter(vehicle__in=ask.vehicles)
    return rows if ask.drivers is None else rows.filter(driver_id__in=ask.drivers)


def driver_name() -> Subquery:
    known = Driver.objects.filter(fleet=OuterRef("fleet"), slug=OuterRef("driver_id"))
    return Subquery(known.values("name")[:1])


def _alerts(urgency: str) -> Any:
    return Cast(KeyTextTransform(urgency, "alerts"), IntegerField())


REPORT = Report(
    name="trips",
    title="Trips",
    text="Every trip: when, where, how far, how fast, by whom.",
    by_driver=True,
    order=Order("start", down=True),
    definition="A trip is what the device reports as one; it belongs to the day on which it began. Places are "
    "rounded to about 1 km. A trip that goes on has no end.",
    source=QuerySource(query),
    columns=(
        Column("start", "Start", Kind.MOMENT, "start_time"),
        Column("end", "End", Kind.MOMENT, "end_time"),
        Column("vehicle", "Vehicle", field="vehicle__name"),
        Column("plate", "Plate", field="vehicle__plate"),
        Column("vin", "VIN", field="vehicle__vin", usual=False),
        Column("driver", "Driver", field="driver_id"),
        Column("driver_name", "Driver’s name", field=driver_name()),
        Column("distance", "Distance", Kind.DISTANCE, "distance_m", Total.SUM),
        Column("duration", "Duration", Kind.DURATION, "duration_s", Total.SUM),
        Column(
            "mean_speed", "Mean speed", Kind.SPEED, "mean_speed_m_s",
            lambda sums: rate(sums["distance"], sums["duration"]),
            about="In total: all metres by all seconds.",
        ),
        Column("max_speed", "Highest speed", Kind.SPEED, "max_speed_m_s", Total.MAX),
        Column("mean_risk", "Mean risk", Kind.NUMBER, "mean_risk", digits=2, about="0 to 1, as the device says."),
        Column("max_risk", "Highest risk", Kind.NUMBER, "max_risk", Total.MAX, 2, usual=False),
        Column("alerts_info", "Information", Kind.WHOLE, _alerts("info"), Total.SUM, usual=False,
               about="Alerts that the device counted during the trip."),
        Column("alerts_warning", "Warnings", Kind.WHOLE, _alerts("warning"), Total.SUM, usual=False),
        Column("alerts_critical", "Critical", Kind.WHOLE, _alerts("critical"), Total.SUM, usual=False),
        Column("start_latitude", "Start latitude", Kind.NUMBER, "start_latitude_deg", digits=2, unit="°", usual=False),
        Column("start_longitude", "Start longitude", Kind.NUMBER, "start_longitude_deg", digits=2, unit="°",
               usual=False),
        Column("end_latitude", "End latitude", Kind.NUMBER, "end_latitude_deg", digits=2, unit="°", usual=False),
        Column("end_longitude", "End longitude", Kind.NUMBER, "end_longitude_deg", digits=2, unit="°", usual=False),
        Column("trip", "Trip", field="trip_id", usual=False, about="The device’s name for it."),
    ),
)  # fmt: skip
