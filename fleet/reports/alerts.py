"""What was reported, by devices and by rules."""

from django.db.models import QuerySet

from fleet.aggregation.days import bounds
from fleet.models import Alert, AlertState, Severity
from fleet.reports.columns import Column, Kind, Total
from fleet.reports.report import Ask, Order, QuerySource, Report


def query(ask: Ask) -> "QuerySet[Alert]":
    zone = ask.period.zone
    first, end = bounds(zone, ask.period.first)[0], bounds(zone, ask.period.last)[1]
    # None: late data took it back.
    rows = Alert.objects.filter(fleet=ask.fleet, first_at__gte=first, first_at__lt=end, count__gt=0)
    return rows if ask.vehicles is None else rows.filter(vehicle__in=ask.vehicles)


REPORT = Report(
    name="alerts",
    title="Alerts and events",
    text="What devices and rules raised, how often, and what became of it.",
    order=Order("first", down=True),
    definition="An alert belongs to the day of its first report; what has the same cause is one alert until it is "
    "resolved.",
    source=QuerySource(query),
    columns=(
        Column("first", "First", Kind.MOMENT, "first_at"),
        Column("last", "Last", Kind.MOMENT, "last_at"),
        Column("vehicle", "Vehicle", field="vehicle__name"),
        Column("plate", "Plate", field="vehicle__plate"),
        Column("severity", "Severity", words={one.value: one.label.lower() for one in Severity}),
        Column("type", "Type"),
        Column("message", "Message"),
        Column("reports", "Reports", Kind.WHOLE, "count", Total.SUM),
        Column("state", "State", words={one.value: one.label.lower() for one in AlertState}),
        Column("source", "Source", usual=False),
        Column("assigned", "Assigned to", field="assigned_to__email", usual=False),
        Column("acknowledged", "Acknowledged", Kind.MOMENT, "acknowledged_at", usual=False),
        Column("resolved", "Resolved", Kind.MOMENT, "resolved_at", usual=False),
    ),
)
