"""What drivers did: harsh manoeuvres, speeding, idling; one report for each sort, of the same rows."""

from typing import Any

from django.db.models import Case, F, Q, QuerySet, Value, When

from fleet.behaviour.driving import HARSH
from fleet.models import DrivingEvent, EventKind, Strength
from fleet.reports.columns import Column, Kind, Total
from fleet.reports.places import LASTED, PLACE, VEHICLE, begun, driver_named, end_where
from fleet.reports.report import Ask, Order, QuerySource, Report
from fleet.reports.rules import harsh_limits, idling_limits, speeding_limits

_STRENGTHS = {one.value: one.label.lower() for one in Strength}
_KINDS = {kind: EventKind(kind).label for kind in HARSH}
_COUNTS = (
    "What was dismissed is listed, says so and costs no points. Who drove follows from the device’s trips."
)


def _of(*kinds: str) -> QuerySource:
    def query(ask: Ask) -> "QuerySet[Any]":
        rows = begun(DrivingEvent.objects.filter(kind__in=kinds), ask)
        return rows if ask.drivers is None else rows.filter(driver_id__in=ask.drivers)

    return QuerySource(query)


_WHO = (
    *VEHICLE,
    Column("driver", "Driver", field="driver_id"),
    Column("driver_name", "Driver’s name", field=driver_named()),
)
_START = Column("start", "Start", Kind.MOMENT, "started_at")
_END = Column(
    "end", "End", Kind.MOMENT, end_where(Q(going_on=False)), about="Empty: it goes on, as far as is known."
)
_DISMISSED = (
    Column("dismissed", "Dismissed", Kind.FLAG, Q(dismissal__isnull=False)),
    Column("reason", "Reason", field="dismissal__reason", usual=False),
    Column("dismissed_by", "Dismissed by", field="dismissal__by_name", usual=False),
)
_STRENGTH = Column("strength", "Strength", words=_STRENGTHS)
_LASTED = Column("duration", "Duration", Kind.DURATION, LASTED, Total.SUM)
_COUNTED = Column(
    "counted", "Counts", Kind.DURATION, Case(When(dismissal__isnull=True, then=LASTED), default=Value(0.0)), Total.SUM,
    usual=False, about="Its duration, unless it was dismissed.",
)  # fmt: skip

EVENTS = Report(
    name="driving-events",
    title="Driving events",
    text="Harsh acceleration, braking and cornering: when, where, how strong, by whom.",
    by_driver=True,
    order=Order("start", down=True),
    definition=f"Found in telemetry, on the day on which they began. {_COUNTS}",
    settings=harsh_limits,
    source=_of(*HARSH),
    columns=(
        _START,
        Column("kind", "Event", words=_KINDS),
        _STRENGTH,
        *_WHO,
        Column("peak", "Peak", Kind.ACCELERATION, "peak_m_s2", Total.MAX),
        Column("limit", "Limit", Kind.ACCELERATION, "limit"),
        Column("speed", "Speed before", Kind.SPEED, "speed_before_m_s"),
        *PLACE,
        *_DISMISSED,
        Column("lasted", "Lasted", Kind.NUMBER, LASTED, unit="s", usual=False),
        Column("source", "Seen by", usual=False, about="The signal its peak was read from."),
        Column("rate", "Records a second", Kind.NUMBER, "rate_hz", usual=False),
    ),
)

OVERSPEED = Report(
    name="overspeed",
    title="Overspeed",
    text="Driving above the fleet’s limit: how fast, how long, where, by whom.",
    by_driver=True,
    order=Order("start", down=True),
    definition=f"Faster than the fleet’s own limit, whatever the road; on the day on which it began. {_COUNTS}",
    settings=speeding_limits,
    source=_of(EventKind.SPEEDING),
    columns=(
        _START,
        _END,
        *_WHO,
        _LASTED,
        Column("peak", "Highest speed", Kind.SPEED, "top_speed_m_s", Total.MAX),
        Column("limit", "Limit", Kind.SPEED, "limit"),
        Column("over", "Above the limit", Kind.SPEED, F("top_speed_m_s") - F("limit"), Total.MAX),
        _STRENGTH,
        *PLACE,
        *_DISMISSED,
        _COUNTED,
    ),
)

IDLING = Report(
    name="idling",
    title="Idling",
    text="Standing with the engine on for longer than the fleet allows: how long, where, by whom.",
    by_driver=True,
    order=Order("start", down=True),
    definition=f"Standing with the engine or ignition on, on the day on which it began. {_COUNTS}",
    settings=idling_limits,
    source=_of(EventKind.IDLING),
    columns=(
        _START,
        _END,
        *_WHO,
        Column("duration", "Engine on", Kind.DURATION, LASTED, Total.SUM),
        *PLACE,
        *_DISMISSED,
        _COUNTED,
    ),
)
