"""When nobody acknowledges an alert: a deadline per step, stored when the alert opens, met exactly once.

The deadline falls with the state that it waits for: acknowledging and resolving take it away in their own transaction,
snoozing puts it off; `escalate` holds the alert's lock while it looks again and announces.
"""

from datetime import datetime, timedelta

from django.db import transaction

from fleet.audit import Actor, record
from fleet.models import Alert, AlertState, Escalation, EscalationStep, Fleet, Happening, Membership, User

STEPS_LIMIT = 20
LONGEST_MINUTES = 7 * 24 * 60
_AT_ONCE = 100


class StepError(ValueError):
    """A step nobody could follow. `field` and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def follow(alert: Alert, kind: str, now: datetime) -> None:
    """In the transaction of what happened."""
    if kind in {Happening.OPENED, Happening.REOPENED}:
        _arm(alert, now, again=True)
    elif kind == Happening.RAISED and alert.state == AlertState.OPEN:
        _arm(alert, max(now, alert.snoozed_until or now), again=False)
    elif kind in {Happening.ACKNOWLEDGED, Happening.RESOLVED}:
        stop(alert)


def _arm(alert: Alert, now: datetime, *, again: bool) -> None:
    """A deadline for each step that this alert is severe enough for. `again`: also for those that were met before."""
    steps = EscalationStep.objects.filter(fleet=alert.fleet_id, severity__lte=alert.severity)
    rows = [
        Escalation(alert=alert, step=step, due_at=now + timedelta(minutes=step.after_minutes))
        for step in steps
    ]
    if again:
        Escalation.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["alert", "step"], update_fields=["due_at"]
        )
    else:
        Escalation.objects.bulk_create(rows, ignore_conflicts=True)


def stop(alert: Alert) -> None:
    Escalation.objects.filter(alert=alert, due_at__isnull=False).update(due_at=None)


def put_off(alert: Alert, until: datetime) -> None:
    """It is snoozed until then: what has not been met counts from there."""
    waiting = Escalation.objects.filter(alert=alert, due_at__isnull=False).select_related("step")
    rows = list(waiting)
    for row in rows:
        row.due_at = until + timedelta(minutes=row.step.after_minutes)
    Escalation.objects.bulk_update(rows, ["due_at"])


def escalate(now: datetime) -> int:
    """Announce every deadline that has passed. How many."""
    done = 0
    due = Escalation.objects.filter(due_at__lte=now).order_by("due_at")
    for number, alert in due.values_list("pk", "alert_id")[:_AT_ONCE]:
        done += _meet(number, alert, now)
    return done


@transaction.atomic
def _meet(number: int, alert_id: int, now: datetime) -> bool:
    from fleet.notifying.notifications import News, announce

    # The alert first, as whoever acts on it does: who acknowledged it in this moment is seen, or waits for us.
    locked = Alert.objects.select_for_update(skip_locked=True, of=("self",)).select_related(
        "vehicle", "fleet"
    )
    alert = locked.filter(pk=alert_id).first()
    if alert is None:
        return False
    mine = Escalation.objects.filter(pk=number, due_at__lte=now).select_related("step")
    escalation = mine.select_for_update(of=("self",)).first()
    if escalation is None:
        return False
    escalation.due_at = None
    wanted = alert.state == AlertState.OPEN and alert.severity >= escalation.step.severity
    if wanted:
        escalation.fired_at = now
        step = escalation.step
        people = list(step.people.values_list("pk", flat=True))
        rule = Actor(f"nobody acknowledged it within {step.after_minutes} min")
        announce(alert, News(Happening.ESCALATED, rule, step.role, people))
    escalation.save(update_fields=["due_at", "fired_at"])
    return wanted


@transaction.atomic
def add(actor: Actor, fleet: Fleet, step: EscalationStep, emails: list[str]) -> EscalationStep:
    """`emails`: of members of the fleet. Raises StepError."""
    if not 1 <= step.after_minutes <= LONGEST_MINUTES:
        raise StepError("after_minutes", f"From 1 to {LONGEST_MINUTES:,} minutes.")
    people = list(User.objects.filter(email__in=emails, memberships__fleet=fleet, is_device=False))
    if missing := set(emails) - {person.email for person in people}:
        raise StepError("people", f"{', '.join(sorted(missing))}: not a member of the fleet.")
    if not people and not step.role:
        raise StepError("people", "Name a role or at least one person.")
    if step.role and not people and not Membership.objects.filter(fleet=fleet, role=step.role).exists():
        raise StepError("role", f"Nobody in this fleet is {step.role}.")
    Fleet.objects.select_for_update(no_key=True).get(pk=fleet.pk)
    if fleet.escalation_steps.count() >= STEPS_LIMIT:
        raise StepError("after_minutes", f"A fleet has at most {STEPS_LIMIT} steps: remove one first.")
    step.fleet = fleet
    step.save()
    step.people.set(people)
    record(actor, "escalation.added", step, fleet, ({}, facts(step)))
    return step


@transaction.atomic
def remove(actor: Actor, step: EscalationStep) -> None:
    """Its deadlines go with it."""
    record(actor, "escalation.removed", step, step.fleet, (facts(step), {}))
    step.delete()


def facts(step: EscalationStep) -> dict[str, object]:
    return {
        "severity": step.severity,
        "after_minutes": step.after_minutes,
        "role": step.role,
        "people": sorted(step.people.values_list("email", flat=True)),
    }
