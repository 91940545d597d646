"""Raising alerts and what people do with them. The same reports in any order, with repeats, give the same alerts.

A report belongs to the open alert of its vehicle, source and key. When there is none, a report from before somebody
resolved the last one belongs to that: late data does not wake anybody again. Any other opens a new alert.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import orjson
from django.db import transaction
from rest_framework.exceptions import ValidationError

from fleet.aggregation.rollups import driving, touch
from fleet.audit import Actor, record
from fleet.models import Alert, AlertNote, AlertReport, AlertState, Happening, Severity, User, Vehicle
from fleet.notifying.notifications import News, announce, changed
from fleet.privacy import masks


@dataclass(frozen=True, slots=True)
class Report:
    """Something is the matter with a vehicle, at an event time."""

    type: str
    severity: Severity
    message: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    """What makes it the same cause; empty: its type."""
    source: str = "device"

    @property
    def digest(self) -> str:
        content = orjson.dumps(
            [self.type, self.severity, self.message, self.data], option=orjson.OPT_SORT_KEYS, default=str
        )
        return hashlib.blake2b(content, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Raised:
    alert: Alert
    opened: bool
    counted: bool
    """False: exactly this report was known."""


@transaction.atomic
def raise_alert(vehicle: Vehicle, report: Report) -> Raised:
    # One report of a vehicle at a time, so that two first ones do not open two alerts.
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    key = (report.key or report.type)[:120]
    content = masks.told(vehicle.pk, report.at, {"message": report.message, "data": report.data})
    # And one change of an alert at a time, people who act on it included: the row is saved whole.
    mine = Alert.objects.select_for_update(of=("self",)).filter(
        vehicle=vehicle, source=report.source, key=key
    )
    alert = mine.waiting().first() or mine.filter(resolved_at__gte=report.at).order_by("resolved_at").first()
    opened = alert is None
    if alert is None:
        alert = Alert(
            fleet_id=vehicle.fleet_id,
            vehicle=vehicle,
            type=report.type,
            key=key,
            source=report.source,
            severity=report.severity,
            **content,
            first_at=report.at,
            last_at=report.at,
        )
        open_up(alert)
    before, day = alert.severity, day_of(alert)
    counted = _count(alert, report, content)
    if counted:
        touch(driving(vehicle.fleet_id, vehicle.pk, {day, day_of(alert)}))
    if alert.severity > before and alert.state != AlertState.RESOLVED:
        announce(alert, News(Happening.RAISED))
    return Raised(alert, opened, counted)


def open_up(alert: Alert) -> None:
    """Every alert that becomes open without a person doing it passes here, once each time: reported, caused by a rule's
    episode or a trip, or held again after a rule had resolved it. Call in the transaction that decided it."""
    alert.state = AlertState.OPEN
    alert.resolved_at, alert.resolved_by_rule = None, False
    alert.acknowledged_at = alert.snoozed_until = None
    alert.save()
    announce(alert, News(Happening.REOPENED if alert.events.exists() else Happening.OPENED))


def day_of(alert: Alert) -> date:
    """The day (UTC) that statistics count it on."""
    return alert.first_at.astimezone(UTC).date()


def _count(alert: Alert, report: Report, content: dict[str, Any]) -> bool:
    """`content`: its message and data as they are kept."""
    _, new = AlertReport.objects.get_or_create(
        alert=alert,
        at=report.at,
        digest=report.digest,
        defaults={"severity": report.severity, **content},
    )
    if not new:
        return False
    newest = AlertReport.objects.filter(alert=alert).order_by("-at", "-digest")[0]
    alert.first_at = min(alert.first_at, report.at)
    alert.last_at = newest.at
    alert.message, alert.data = newest.message, newest.data
    alert.severity = max(alert.severity, report.severity)
    alert.count += 1
    alert.save()
    return True


_HAPPENED = {
    "acknowledge": Happening.ACKNOWLEDGED,
    "resolve": Happening.RESOLVED,
    "reopen": Happening.REOPENED,
}


def _locked(alert: Alert) -> Alert:
    found = Alert.objects.select_for_update(of=("self",)).select_related("fleet", "vehicle")
    return found.get(pk=alert.pk)


@transaction.atomic
def act(alert: Alert, actor: Actor, name: str, now: datetime, text: str = "") -> Alert:
    """acknowledge, resolve or reopen. Repeating what was done changes nothing."""
    alert = _locked(alert)
    wanted = {
        "acknowledge": AlertState.ACKNOWLEDGED,
        "resolve": AlertState.RESOLVED,
        "reopen": AlertState.OPEN,
    }[name]
    if alert.state == wanted:
        return alert
    if name == "acknowledge" and alert.state == AlertState.RESOLVED:
        raise ValidationError({"state": "It is resolved: reopen it first."})
    same = Alert.objects.filter(vehicle=alert.vehicle_id, source=alert.source, key=alert.key)
    if name == "reopen" and same.waiting().exists():
        raise ValidationError({"state": "The same cause has a newer alert, which is open."})
    before = alert.state
    alert.state = wanted
    alert.acknowledged_at = {"acknowledge": now, "reopen": None}.get(name, alert.acknowledged_at)
    alert.resolved_at = now if name == "resolve" else None
    alert.resolved_by_rule = False
    alert.snoozed_until = None
    alert.save()
    note(
        alert, actor, {"acknowledge": "acknowledged", "resolve": "resolved", "reopen": "reopened"}[name], text
    )
    record(actor, f"alert.{name}", alert, alert.fleet, ({"state": before}, {"state": wanted.value}))
    announce(alert, News(_HAPPENED[name], actor))
    return alert


@transaction.atomic
def assign(alert: Alert, actor: Actor, user: User | None) -> Alert:
    """To a member of its fleet, or to nobody."""
    if user is not None and not user.memberships.filter(fleet=alert.fleet_id).exists():
        raise ValidationError({"user": "This person is not a member of the fleet."})
    alert = _locked(alert)
    before = str(alert.assigned_to) if alert.assigned_to else None
    alert.assigned_to = user
    alert.save(update_fields=["assigned_to"])
    note(alert, actor, "assigned", f"to {user}" if user else "to nobody")
    told = ({"assigned_to": before}, {"assigned_to": str(user) if user else None})
    record(actor, "alert.assign", alert, alert.fleet, told)
    if user is not None and str(user) != before:
        announce(alert, News(Happening.ASSIGNED, actor, people=[user.pk]))
    return alert


@transaction.atomic
def snooze(alert: Alert, actor: Actor, until: datetime, now: datetime) -> Alert:
    """Hide it from the inbox until then; it stays open."""
    if until <= now:
        raise ValidationError({"until": "This moment has passed."})
    alert = _locked(alert)
    if alert.state == AlertState.RESOLVED:
        raise ValidationError({"state": "It is resolved."})
    alert.snoozed_until = until
    alert.save(update_fields=["snoozed_until"])
    note(alert, actor, "snoozed", f"until {until.isoformat()}")
    record(actor, "alert.snooze", alert, alert.fleet, ({}, {"until": until.isoformat()}))
    changed(alert)
    return alert


def comment(alert: Alert, actor: Actor, text: str) -> AlertNote:
    return note(alert, actor, "commented", text)


def note(alert: Alert, actor: Actor, what: str, text: str) -> AlertNote:
    return AlertNote.objects.create(alert=alert, user=actor.user, who=actor.name[:200], act=what, text=text)
