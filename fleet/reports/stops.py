"""Where vehicles stood between trips, and for how long."""

from django.db.models import Q, QuerySet

from fleet.models import Stop
from fleet.reports.columns import Column, Kind, Total
from fleet.reports.places import PLACE, RECONSTRUCTED, SOC, UNHEARD, VEHICLE, begun, end_where
from fleet.reports.report import Ask, Order, QuerySource, Report
from fleet.reports.rules import trip_rules


def query(ask: Ask) -> "QuerySet[Stop]":
    return begun(Stop.objects.all(), ask)


REPORT = Report(
    name="stops",
    title="Stops",
    text="Where each vehicle stood between trips, how long, and how much of it with its ignition on.",
    order=Order("start", down=True),
    definition="From the end of one detected trip to the start of the next, on the day on which it began. One that "
    "goes on has no end; its duration is that up to the newest record. "
    "Idle is not known where nothing tells of the ignition.",
    settings=trip_rules,
    source=QuerySource(query),
    columns=(
        Column("start", "Start", Kind.MOMENT, "started_at"),
        Column("end", "End", Kind.MOMENT, end_where(Q(settled_at__isnull=False))),
        *VEHICLE,
        Column("duration", "Duration", Kind.DURATION, "duration_s", Total.SUM),
        Column("idle", "Ignition on", Kind.DURATION, "idle_s", Total.SUM),
        *PLACE,
        *SOC,
        Column("moved", "Moved meanwhile", Kind.DISTANCE, "moved_m", Total.SUM, usual=False,
               about="Towed, or driven unheard."),
        Column("begin_unknown", "Begun before", Kind.FLAG, "begin_unknown", usual=False,
               about="There are no records of what was before."),
        UNHEARD,
        RECONSTRUCTED,
    ),
)  # fmt: skip
