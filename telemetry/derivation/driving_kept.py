"""Driving events at the edge of what a fleet keeps: records before it may be gone, so what was found in them stays."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from fleet.behaviour.driving import HARSH, IDLE_GAP_US, LASTING, Found
from fleet.behaviour.drivingevents import moment
from fleet.models import DrivingEvent
from telemetry.frames import to_us
from telemetry.retention import since_us

_EDGE_US: Final = IDLE_GAP_US
"""What begins later than this after the first record that is kept does not depend on any before it."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Of one vehicle. An event that begins before `since_us` is neither found, changed nor deleted any more."""

    since_us: int = 0
    across: Sequence[DrivingEvent] = ()
    """Begun before, and lasting beyond it."""

    def judged(
        self, stored: Sequence[DrivingEvent], found: Sequence[Found]
    ) -> tuple[list[DrivingEvent], list[Found]]:
        """Those about which anything may be said: what shares a moment with an event that stays, stays too."""
        until = dict.fromkeys((*HARSH, *LASTING), self.since_us - 1)
        stays = [(row.kind, to_us(row.started_at), to_us(row.ended_at)) for row in self.across]
        for kind, begin, end in [*stays, *sorted((one.kind, one.started_us, one.ended_us) for one in found)]:
            if begin <= until[kind]:
                until[kind] = max(until[kind], end)
        return (
            [row for row in stored if to_us(row.started_at) > until[row.kind]],
            [one for one in found if one.started_us > until[one.kind]],
        )


def edges(fleets: Mapping[int, int]) -> dict[int, Edge]:
    """By vehicle, given its fleet. One query, and another where fleets do not keep everything."""
    kept = since_us(set(fleets.values()))
    begins = {vehicle: kept[fleet] + _EDGE_US for vehicle, fleet in fleets.items() if fleet in kept}
    across = _across(begins)
    return {vehicle: Edge(begins.get(vehicle, 0), across.get(vehicle, ())) for vehicle in fleets}


def _across(begins: Mapping[int, int]) -> Mapping[int, Sequence[DrivingEvent]]:
    found: dict[int, list[DrivingEvent]] = defaultdict(list)
    wanted = Q(pk__in=())
    for vehicle, begin in begins.items():
        wanted |= Q(vehicle=vehicle, started_at__lt=moment(begin), ended_at__gte=moment(begin))
    for row in DrivingEvent.objects.filter(wanted) if begins else ():
        found[row.vehicle_id].append(row)
    return found
