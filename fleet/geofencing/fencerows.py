"""Rows of geofences made ready: kept per process until one of them changes."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from django.db.models import Count, Max, Sum

from fleet.geofencing.fences import Fence, Fences
from fleet.geofencing.presence import SECOND_US
from fleet.geofencing.shapes import shape_of
from fleet.models import Geofence

_KEPT: Final = 200
"""Fleets whose geofences a process keeps ready."""
Version = tuple[Any, ...]


_ready: "OrderedDict[int, tuple[Version, Fences]]" = OrderedDict()


def fences_of(fleets: Sequence[int]) -> dict[int, Fences]:
    """By fleet; those without any are left out. One query as long as nothing changes, two more when it did."""
    versions: dict[int, Version] = {
        row[0]: row[1:]
        for row in Geofence.objects.filter(fleet__in=fleets)
        .order_by("fleet")
        .values_list("fleet", "fleet__time_zone")
        .annotate(Count("id"), Sum("version"), Max("id"), Max("changed_at"))
    }
    stale = [fleet for fleet, version in versions.items() if _ready.get(fleet, ((), None))[0] != version]
    for fleet, fences in _read(stale).items():
        _ready[fleet] = versions[fleet], fences
    found = {}
    for fleet in versions:
        _ready.move_to_end(fleet)
        found[fleet] = _ready[fleet][1]
    while len(_ready) > max(_KEPT, len(versions)):
        _ready.popitem(last=False)
    return found


def _read(fleets: Sequence[int]) -> dict[int, Fences]:
    if not fleets:
        return {}
    limited: dict[int, set[int]] = {}
    through = Geofence.vehicles.through.objects.filter(geofence__fleet__in=fleets)
    for fence, vehicle in through.values_list("geofence_id", "vehicle_id"):
        limited.setdefault(fence, set()).add(vehicle)
    by_fleet: dict[int, list[Fence]] = {fleet: [] for fleet in fleets}
    for row in Geofence.objects.filter(fleet__in=fleets).select_related("fleet").order_by("id"):
        members = None if row.all_vehicles else frozenset(limited.get(row.pk, ()))
        by_fleet[row.fleet_id].append(fence_of(row, members))
    return {fleet: Fences.of(fences) for fleet, fences in by_fleet.items()}


def fence_of(row: Geofence, members: frozenset[int] | None = None) -> Fence:
    """Needs `fleet` selected."""
    return Fence(
        row.pk,
        row.version,
        round(row.since.timestamp() * SECOND_US),
        shape_of(row.kind, row.geometry, row.radius_m or row.width_m or 0.0, row.hysteresis_m),
        members,
        round(row.min_stay_s * SECOND_US),
        None if row.dwell_s is None else round(row.dwell_s * SECOND_US),
        tuple(row.schedule),
        row.fleet.time_zone,
    )
