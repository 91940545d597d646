"""Making and changing geofences. Each change is a version on the audit trail.

Visits are a function of the stored records from a geofence's last change on; older ones stay as they are, unless
somebody asks for more (`replay_from`). What a change means for stored records is done by telemetry.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from celery import current_app
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from fleet.audit import Actor, record
from fleet.models import AlertRule, Fleet, Geofence, Vehicle, Visit
from fleet.models.geofences import Edge

log = logging.getLogger(__name__)
LIMIT: Final = 5_000
"""Geofences of one fleet."""
REPLAY_DAYS: Final = 366
_AFTERWARDS: Final = frozenset({"name", "colour"})
"""What may change without looking at any record anew."""


@dataclass(frozen=True)
class Wish:
    """A geofence that was checked, and the vehicles it is limited to."""

    fence: Geofence
    vehicles: Sequence[Vehicle] = field(default_factory=list)
    history_from: datetime | None = None
    """Look at stored records from then on; None: from now on, or where nothing that matters changed, not at all."""


@transaction.atomic
def add(actor: Actor, fleet: Fleet, wish: Wish) -> Geofence:
    return add_all(actor, fleet, [wish])[0]


@transaction.atomic
def add_all(actor: Actor, fleet: Fleet, wishes: Sequence[Wish]) -> list[Geofence]:
    """All of them or none. Errors are named `features[3].name` where there are several."""
    Fleet.objects.select_for_update(no_key=True).get(pk=fleet.pk)
    mine = Geofence.objects.filter(fleet=fleet)
    if mine.count() + len(wishes) > LIMIT:
        raise ValidationError({"name": f"A fleet has at most {LIMIT:,} geofences: delete some first."})
    taken = set(mine.values_list("name", flat=True))
    for place, wish in enumerate(wishes):
        if wish.fence.name in taken:
            name = "name" if len(wishes) == 1 else f"features[{place}].name"
            raise ValidationError({name: f"This fleet has a geofence named {wish.fence.name} already."})
        taken.add(wish.fence.name)
    for wish in wishes:
        fence = wish.fence
        fence.fleet, fence.created_by = fleet, actor.user
        fence.since = fence.replay_from = _from(wish)
        fence.save()
        fence.vehicles.set([] if fence.all_vehicles else wish.vehicles)
        record(actor, "geofence.added", fence, fleet, ({}, _facts(fence)))
    transaction.on_commit(announce)
    return [wish.fence for wish in wishes]


@transaction.atomic
def change(actor: Actor, wish: Wish) -> Geofence:
    """`wish.fence`: the stored row with new values in it, unsaved."""
    fence = wish.fence
    before = Geofence.objects.select_for_update(of=("self",)).select_related("fleet").get(pk=fence.pk)
    others = Geofence.objects.filter(fleet=before.fleet_id, name=fence.name).exclude(pk=fence.pk)
    if others.exists():
        raise ValidationError({"name": f"This fleet has a geofence named {fence.name} already."})
    old = _facts(before)
    fence.fleet, fence.created_at, fence.created_by_id = before.fleet, before.created_at, before.created_by_id
    fence.since, fence.replay_from, fence.version = before.since, before.replay_from, before.version
    fence.vehicles.set([] if fence.all_vehicles else wish.vehicles)
    new = _facts(fence)
    changed = {name for name in new if new[name] != old[name]}
    if changed - _AFTERWARDS or wish.history_from:
        fence.since = fence.replay_from = _from(wish)
        cut(fence)
    if not changed and not wish.history_from:
        return before
    fence.version += 1
    versions = ({**old, "version": before.version}, {**new, "version": fence.version})
    if wish.history_from:
        versions[1]["since"] = fence.since.isoformat()
    record(actor, "geofence.changed", fence, fence.fleet, versions)
    fence.save()
    transaction.on_commit(announce)
    return fence


@transaction.atomic
def delete(actor: Actor, fence: Geofence) -> None:
    """With its visits. One that alert rules watch is refused: they would be silent without a word."""
    rules = list(AlertRule.objects.filter(geofence=fence).order_by("name").values_list("name", flat=True)[:3])
    if rules:
        raise ValidationError({"geofence": f"Alert rules watch it: {', '.join(rules)}. Delete them first."})
    record(actor, "geofence.deleted", fence, fence.fleet, (_facts(fence), {}))
    fence.delete()


def cut(fence: Geofence) -> None:
    """What was before `since` stays and ends there; what came later is found anew."""
    mine = Visit.objects.filter(geofence=fence)
    mine.filter(entered_at__gte=fence.since).delete()
    over = mine.filter(Q(left_at=None) | Q(left_at__gt=fence.since))
    over.filter(confirmed=False).delete()
    over.update(left_at=fence.since, exit=Edge.CHANGED, border_at=None)
    mine.filter(last_at__gt=F("left_at")).update(last_at=F("left_at"))
    mine.filter(dwelled_at__gt=F("left_at")).update(dwelled_at=None)


def announce() -> None:
    """Let telemetry take changed geofences up. The sweep does too, later."""
    try:
        current_app.send_task("telemetry.take_up_rules")
    except Exception:
        log.warning("could not announce a changed geofence; the sweep will", exc_info=True)


def earliest(now: datetime) -> datetime:
    """How far back history may be looked at."""
    return now - timedelta(days=REPLAY_DAYS)


def _from(wish: Wish) -> datetime:
    now = timezone.now()
    return max(earliest(now), min(wish.history_from or now, now))


def _facts(fence: Geofence) -> dict[str, Any]:
    limited = [] if fence.all_vehicles else sorted(fence.vehicles.values_list("slug", flat=True))
    return {**fence.facts(), "vehicles": limited}
