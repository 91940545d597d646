"""Geofences that were made or changed: which stored records must be looked at for them."""

from django.db.models import Q
from django.utils import timezone

from fleet.models import Episode, Geofence, Vehicle, Visit
from telemetry.derivation.touched import QUICK
from telemetry.frames import to_us


def take_up() -> tuple[int, set[int]]:
    """How many there were, and vehicles with something to do. Call in a transaction in which no drain works."""
    fences = Geofence.objects.select_for_update(of=("self",)).filter(replay_from__isnull=False)
    found = list(fences.order_by("id"))
    vehicles = {vehicle for fence in found for vehicle in _concerned(fence)}
    fences.update(replay_from=None)
    return len(found), vehicles


def _concerned(fence: Geofence) -> list[int]:
    """Vehicles that were somewhere since. Visits of those it is not for any more are removed; their alerts follow."""
    members = Vehicle.objects.filter(fleet=fence.fleet_id)
    if not fence.all_vehicles:
        members = members.filter(pk__in=fence.vehicles.all())
    Visit.objects.filter(geofence=fence, entered_at__gte=fence.since).exclude(vehicle__in=members).delete()
    told = Episode.objects.filter(rule__geofence=fence, ended_at=None)
    placed = Vehicle.objects.filter(state__place_time__gte=fence.since)
    placed = placed.filter(Q(pk__in=members) | Q(pk__in=told.values("vehicle")))
    judged = list(placed.order_by("pk").values_list("pk", flat=True))
    assert fence.replay_from is not None
    first, last = to_us(fence.replay_from), to_us(timezone.now())
    QUICK.widen([(vehicle, first, max(first, last)) for vehicle in judged])
    return judged
