"""Which driving events and which trips cost the points of a score, and on which trip each event is."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.db.models import FloatField, Q, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

from fleet.access import Principal
from fleet.aggregation.legs import LONGEST
from fleet.aggregation.sums import Sums
from fleet.behaviour.driving import HARSH, SPEEDING
from fleet.behaviour.scoring import ALERT_POINTS, Component, explained
from fleet.models import DrivingEvent, Trip

OF_TRIPS: Final = {"night": "night_ms", "risk": "risk_mm", "alerts": "counted_mm"}
"""Components that whole trips cost: where their sums say so."""


def points_of(event: DrivingEvent, components: Sequence[Component], sums: Sums) -> float | None:
    """Of a score made of `components` and `sums`, in which the event is counted; None: nothing is known of its kind.
    The events of a component add up to what it cost."""
    component = next((one for one in components if one.kind == event.kind), None)
    if event.dismissal_id is not None or component is None:
        return 0.0
    if event.kind in HARSH:
        return component.each
    if event.kind != SPEEDING or component.lost is None or not sums.speeding_ms:
        return None if component.lost is None else 0.0
    return component.lost * round(event.duration_s * 1000) / sums.speeding_ms


def that_cost(component: str) -> Q:
    """Trips (or summaries) that cost points of this component, one of OF_TRIPS; those of another are all."""
    if component == "alerts":
        return Q(*((f"score_sums__{name}__gt", 0) for name in _COUNTED), _connector=Q.OR)
    column = OF_TRIPS.get(component)
    return Q(**{f"score_sums__{column}__gt": 0}) if column else Q()


_COUNTED: Final = ("trip_info", "trip_warning", "trip_critical")


def share_of(component: str, one: Sums, total: Sums) -> float | None:
    """Points that a trip's sums cost of the score made of `total`, by its share of what is counted: the time at night,
    the risk times the distance, the alerts by their weight. None: nothing is known of it."""
    whole = next((found.lost for found in explained(total) if found.name == component), None)
    counted = _counted(component, total)
    if whole is None:
        return None
    return whole * min(1.0, _counted(component, one) / counted) if counted else 0.0


def _counted(component: str, sums: Sums) -> float:
    if component == "alerts":
        return sum(
            points * int(getattr(sums, name)) for points, name in zip(ALERT_POINTS, _COUNTED, strict=True)
        )
    return float(getattr(sums, OF_TRIPS[component]))


def amount(component: str) -> Any:
    """The same in the database, of trips or summaries: what they are sorted by."""
    if component != "alerts":
        return _sum(OF_TRIPS[component])
    found: Any = Value(0.0)
    for points, name in zip(ALERT_POINTS, _COUNTED, strict=True):
        found = found + points * _sum(name)
    return found


def _sum(name: str) -> Any:
    return Coalesce(Cast(KeyTextTransform(name, "score_sums"), FloatField()), Value(0.0))


def trips_of(principal: Principal, events: Collection[DrivingEvent]) -> Mapping[int, int]:
    """By the event's number that of the trip it is on, as far as the reader may see it. One query."""
    wanted: Any = Q(pk__in=())
    for event in events:
        wanted |= Q(
            vehicle=event.vehicle_id,
            started_at__lte=event.started_at,
            started_at__gte=event.started_at - LONGEST,
            ended_at__gte=event.started_at,
        )
    rows = Trip.objects.visible_to(principal).filter(wanted) if events else Trip.objects.none()
    trips = list(rows.order_by("-started_at").values_list("pk", "vehicle", "started_at", "ended_at"))
    found: dict[int, int] = {}
    for event in events:
        for pk, vehicle, start, end in trips:
            if vehicle == event.vehicle_id and start <= event.started_at <= end + timedelta(microseconds=1):
                found[event.pk] = pk
                break
    return found
