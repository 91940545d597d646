"""Which driving events cost the points of a score, and on which trip each is."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.db.models import Q

from fleet.access import Principal
from fleet.aggregation.legs import LONGEST
from fleet.aggregation.sums import Sums
from fleet.behaviour.driving import HARSH, SPEEDING
from fleet.behaviour.scoring import Component
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
        names = ("trip_info", "trip_warning", "trip_critical")
        return Q(*((f"score_sums__{name}__gt", 0) for name in names), _connector=Q.OR)
    column = OF_TRIPS.get(component)
    return Q(**{f"score_sums__{column}__gt": 0}) if column else Q()


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
