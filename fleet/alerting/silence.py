"""Vehicles that have fallen silent: a deadline is stored whenever data come, and only those overdue are looked at.

What counts is receipt: whatever comes from a vehicle, however old, proves that it is alive now. A silence begins
with the last receipt and ends with the next one. A vehicle that never sent anything is not silent but new.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from fleet.alerting import causes, rules
from fleet.models import AlertRule, Episode, RuleKind, Vehicle, VehicleState
from fleet.readings import catalogue_of

log = logging.getLogger(__name__)
AT_ONCE = 1_000


def overdue(now: datetime) -> list[int]:
    """Along the partial index on `silent_at`, which holds only vehicles that somebody wants to hear of."""
    states = VehicleState.objects.filter(silent_at__lte=now).order_by("silent_at")
    return list(states.values_list("vehicle_id", flat=True)[:AT_ONCE])


def check(now: datetime) -> int:
    """Look at every vehicle whose deadline has passed; answers at how many."""
    seen = 0
    for vehicle_id in overdue(now):
        try:
            seen += _check(vehicle_id, now)
        except Exception:
            log.exception("the silence of vehicle %s could not be looked at", vehicle_id)
    return seen


@transaction.atomic
def _check(vehicle_id: int, now: datetime) -> int:
    """One vehicle a transaction: a drain that waits for this row waits for nothing else of ours."""
    states = VehicleState.objects.select_for_update(skip_locked=True, of=("self",))
    state = states.filter(pk=vehicle_id, silent_at__lte=now).first()
    if state is None:  # it spoke just now, or is speaking
        return 0
    vehicle = Vehicle.objects.get(pk=vehicle_id)
    later: list[datetime] = []
    for rule in rules_for(vehicle):
        deadline = state.received_at + timedelta(seconds=rule.silent_after_s or 0)
        if deadline > now:
            later.append(deadline)
        elif not (rule.ignore_parked and state.values.get("ignition") == 0):
            _open(rule, vehicle, state)
    state.silent_at = min(later, default=None)
    state.save(update_fields=["silent_at"])
    return 1


def rules_for(vehicle: Vehicle) -> list[AlertRule]:
    return [
        rule
        for rule, members in rules.judged([vehicle.fleet_id])
        if rule.kind == RuleKind.SILENCE and (members is None or vehicle.pk in members)
    ]


def _open(rule: AlertRule, vehicle: Vehicle, state: VehicleState) -> None:
    since: dict[str, Any] = {"rule": rule, "vehicle": vehicle, "started_at": state.received_at}
    if Episode.objects.filter(**since, ended_at=None).exists():
        return
    told = {
        "last_at": state.received_at, "ended_at": None, "peak": rule.silent_after_s or 0,
        "severity": rule.severity, "rule_version": rule.version,
    }  # fmt: skip
    # It may be there and ended: cut off by a change of the rule, and still silent by the new one.
    Episode.objects.update_or_create(**since, defaults=told)
    causes.settle(rule, vehicle, catalogue_of(vehicle.fleet_id))


def heard(episode: Episode, at: datetime) -> None:
    """Something was received after it began. One too short was none: a record worked late had come in time."""
    rule, vehicle = episode.rule, episode.vehicle
    if at - episode.started_at < timedelta(seconds=rule.silent_after_s or 0):
        episode.delete()
    else:
        episode.ended_at = episode.last_at = at
        episode.save(update_fields=["ended_at", "last_at"])
    causes.settle(rule, vehicle, catalogue_of(vehicle.fleet_id))
