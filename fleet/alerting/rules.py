"""Making and changing alert rules. Each change is a version on the audit trail.

A rule judges records measured from its last change on; older ones only when somebody asks for it (`replay`). What a
change means for stored records is done by telemetry, which `replay_from` tells.
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

from fleet.alerting import causes
from fleet.audit import Actor, record
from fleet.models import AlertRule, Episode, Fleet, RuleKind, Vehicle
from fleet.readings import catalogue_of

log = logging.getLogger(__name__)
LIMIT: Final = 100
"""Rules of one fleet."""
REPLAY_DAYS: Final = 90
RESOLVE_THEMSELVES: Final = frozenset(
    {RuleKind.SILENCE, RuleKind.THRESHOLD, RuleKind.LOW_CHARGE, RuleKind.GEOFENCE}
)
"""Kinds whose alerts are over with the condition unless somebody says otherwise; the others want to be seen."""
_AFTERWARDS: Final = frozenset({"name", "severity", "message", "auto_resolve"})
"""What may change without judging anything anew."""


@dataclass(frozen=True)
class Wish:
    """A rule that was checked, and the vehicles it is limited to."""

    rule: AlertRule
    vehicles: Sequence[Vehicle] = field(default_factory=list)
    replay_days: float = 0


@transaction.atomic
def add(actor: Actor, fleet: Fleet, wish: Wish) -> AlertRule:
    Fleet.objects.select_for_update(no_key=True).get(pk=fleet.pk)
    if AlertRule.objects.filter(fleet=fleet).count() >= LIMIT:
        raise ValidationError({"name": f"This fleet has {LIMIT} rules already: delete one first."})
    rule = wish.rule
    rule.fleet, rule.created_by = fleet, actor.user
    _refuse_taken(rule)
    rule.since = rule.replay_from = _from(wish)
    rule.save()
    rule.vehicles.set([] if rule.all_vehicles else wish.vehicles)
    record(actor, "rule.added", rule, fleet, ({}, _facts(rule)))
    transaction.on_commit(announce)
    return rule


@transaction.atomic
def change(actor: Actor, wish: Wish) -> AlertRule:
    """`wish.rule`: the stored row with new values in it, unsaved."""
    rule = wish.rule
    before = AlertRule.objects.select_for_update().select_related("fleet").get(pk=rule.pk)
    _refuse_taken(rule)
    old = _facts(before)
    rule.since, rule.replay_from = before.since, before.replay_from
    rule.version, rule.fleet = before.version, before.fleet
    rule.vehicles.set([] if rule.all_vehicles else wish.vehicles)
    new = _facts(rule)
    changed = {name for name in new if new[name] != old[name]}
    if changed - _AFTERWARDS or wish.replay_days:
        rule.since = rule.replay_from = _from(wish)
        cut(rule)
    if changed:
        rule.version += 1
        versions = ({**old, "version": before.version}, {**new, "version": rule.version})
        record(actor, "rule.changed", rule, rule.fleet, versions)
    elif wish.replay_days:
        record(actor, "rule.replayed", rule, rule.fleet, ({}, {"since": rule.since.isoformat()}))
    rule.save()
    transaction.on_commit(announce)
    return rule


@transaction.atomic
def delete(actor: Actor, rule: AlertRule) -> None:
    """Its alerts stay; what still held is taken to have ended."""
    record(actor, "rule.deleted", rule, rule.fleet, (_facts(rule), {}))
    rule.since = timezone.now()
    cut(rule)
    rule.delete()


def cut(rule: AlertRule) -> None:
    """Episodes begun before `since` end there: the records after it are judged by other rules than before."""
    mine = Episode.objects.filter(rule=rule, started_at__lt=rule.since)
    mine.filter(confirmed=False).delete()
    over = mine.filter(Q(ended_at=None) | Q(ended_at__gt=rule.since))
    vehicles = list(over.values_list("vehicle", flat=True).distinct())
    over.update(ended_at=rule.since)
    mine.filter(last_at__gt=F("ended_at")).update(last_at=F("ended_at"))
    settle_all(rule, vehicles)


def settle_all(rule: AlertRule, vehicles: Sequence[int]) -> None:
    catalogue = catalogue_of(rule.fleet_id)
    for vehicle in Vehicle.objects.filter(pk__in=vehicles).order_by("pk"):
        causes.settle(rule, vehicle, catalogue)


def judged(fleets: Sequence[int]) -> list[tuple[AlertRule, frozenset[int] | None]]:
    """Enabled rules of these fleets and which vehicles each is limited to; None: all. Two queries."""
    rules = AlertRule.objects.filter(fleet__in=fleets, enabled=True).order_by("id")
    rules = rules.select_related("geofence__fleet")
    limited = AlertRule.vehicles.through.objects.filter(alertrule__in=rules.filter(all_vehicles=False))
    members: dict[int, set[int]] = {}
    for rule, vehicle in limited.values_list("alertrule_id", "vehicle_id"):
        members.setdefault(rule, set()).add(vehicle)
    return [(rule, None if rule.all_vehicles else frozenset(members.get(rule.pk, ()))) for rule in rules]


def announce() -> None:
    """Let telemetry take changed rules up. The sweep does too, later."""
    try:
        current_app.send_task("telemetry.take_up_rules")
    except Exception:
        log.warning("could not announce a changed rule; the sweep will", exc_info=True)


def _from(wish: Wish) -> datetime:
    return timezone.now() - timedelta(days=min(wish.replay_days, REPLAY_DAYS))


def _facts(rule: AlertRule) -> dict[str, Any]:
    limited = [] if rule.all_vehicles else sorted(rule.vehicles.values_list("slug", flat=True))
    return {**rule.facts(), "vehicles": limited}


def _refuse_taken(rule: AlertRule) -> None:
    others = AlertRule.objects.filter(fleet=rule.fleet, name=rule.name).exclude(pk=rule.pk)
    if others.exists():
        raise ValidationError({"name": "This fleet has a rule of that name already."})
