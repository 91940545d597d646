"""Writing down what became of an alert and who is to be told, in the transaction that changed the alert.

Whoever changes an alert calls `announce` before the commit: the event, its notifications and its deliveries are there
with the change or not at all, each of them once, by the database's own rules. Workers send what is there.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import IntegerField, QuerySet, Subquery
from django.utils import timezone

from fleet.alerting import escalation
from fleet.audit import Actor
from fleet.models import Alert, AlertEvent, Happening, Notification
from fleet.notifying import webhooks
from fleet.notifying.wake import wake
from fleet.push import group, push

UNREAD_SHOWN = 99
_FOR_ALL = {Happening.OPENED, Happening.RAISED, Happening.REOPENED}


@dataclass(frozen=True, slots=True)
class News:
    """What happened. `role`, `people`: told whatever they chose to hear; of other news only whom it concerns."""

    kind: Happening
    by: Actor | None = None
    role: str = ""
    people: Collection[int] = field(default_factory=tuple)


def announce(alert: Alert, news: News) -> AlertEvent:
    """Call in the transaction that changed the alert, which holds its lock."""
    now = timezone.now()
    event = AlertEvent.objects.create(
        alert=alert,
        kind=news.kind,
        number=1 if news.kind == Happening.OPENED else alert.events.filter(kind=news.kind).count() + 1,
        severity=alert.severity,
        at=now,
        by=news.by.name[:200] if news.by else "",
        message=alert.message,
    )
    _plan(event, alert.fleet_id, news, now)
    webhooks.plan(event, alert)
    escalation.follow(alert, news.kind, now)
    hint(alert.fleet_id)
    transaction.on_commit(wake)
    return event


def changed(alert: Alert) -> None:
    """Something else about it that pages show: snoozed, a comment."""
    if alert.snoozed_until is not None:
        escalation.put_off(alert, alert.snoozed_until)
    hint(alert.fleet_id)


def hint(fleet_id: int) -> None:
    """To everybody's pages, after the commit: ask again."""
    transaction.on_commit(lambda: push(group(fleet_id), {"type": "live.alerts", "fleet": fleet_id}))


_CHOSEN = """%(severity)s >= CASE c.channel WHEN 'page' THEN COALESCE(p.page_reach, 0)
    ELSE COALESCE(p.email_reach, CASE WHEN m.role IN ('owner', 'manager') THEN 2 ELSE 3 END) END"""
_PLAN = """
INSERT INTO notifications (event_id, user_id, fleet_id, channel, state, due_at, claim, attempts, error, created_at)
SELECT %(event)s, m.user_id, m.fleet_id, c.channel,
    CASE c.channel WHEN 'page' THEN 'shown' ELSE 'waiting' END,
    CASE c.channel WHEN 'page' THEN NULL ELSE {now} END, '', 0, '', {now}
FROM fleet_membership m
JOIN fleet_user u ON u.id = m.user_id AND u.is_active AND NOT u.is_device
CROSS JOIN (SELECT 'page' AS channel UNION ALL SELECT 'email') c
LEFT JOIN notification_choices p ON p.user_id = m.user_id AND p.fleet_id = m.fleet_id
WHERE m.fleet_id = %(fleet)s AND m.user_id <> %(actor)s AND {whom}
ON CONFLICT DO NOTHING
"""


def _plan(event: AlertEvent, fleet_id: int, news: News, now: datetime) -> None:
    """One insert, whatever the number of people. Who did it needs not be told."""
    values: dict[str, Any] = {
        "event": event.pk,
        "fleet": fleet_id,
        "severity": int(event.severity),
        "actor": news.by.user.pk if news.by and news.by.user else 0,
        "now": connection.ops.adapt_datetimefield_value(now),
        "role": news.role,
    }
    if news.kind in _FOR_ALL:
        whom = _CHOSEN
    elif news.kind == Happening.RESOLVED:
        whom = f"p.tell_resolved AND {_CHOSEN}"
    elif news.role or news.people:
        names = {f"person_{place}": person for place, person in enumerate(news.people)}
        values |= names
        people = f"m.user_id IN ({', '.join(f'%({name})s' for name in names)})" if names else "FALSE"
        whom = f"(m.role = %(role)s OR {people})"
    else:
        return
    typed = "%(now)s::timestamptz" if connection.vendor == "postgresql" else "%(now)s"
    with connection.cursor() as cursor:
        cursor.execute(_PLAN.format(now=typed, whom=whom), values)


class _Count(Subquery):
    """How many rows a query has, of at most its limit."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def unread_rows(principal: Any) -> "QuerySet[Notification]":
    """What the bell counts: it need not know how many more than UNREAD_SHOWN there are."""
    mine = Notification.objects.shown_to(principal).filter(read_at=None)
    return mine.order_by().only("pk")[: UNREAD_SHOWN + 1]


def unread_count(principal: Any) -> Subquery:
    """For a query that is made anyway: the count is a value of its rows."""
    return _Count(unread_rows(principal).values("pk"))


def read(principal: Any, now: datetime, ids: Collection[int] | None = None) -> int:
    """Mark a person's notifications as read: these, or all. How many were not."""
    unread = Notification.objects.shown_to(principal).filter(read_at=None)
    return (unread if ids is None else unread.filter(pk__in=ids)).update(read_at=now)


def read_of(principal: Any, alert: Alert, now: datetime) -> None:
    """Whoever looks at an alert has read what was told of it."""
    Notification.objects.shown_to(principal).filter(event__alert=alert, read_at=None).update(read_at=now)


def told_of(alert: Alert) -> dict[str, Any]:
    """For its managers: who was told of it, how, and what became of that."""
    people = Notification.objects.filter(event__alert=alert).select_related("event", "user")
    return {
        "notifications": people.order_by("-id")[:100],
        "deliveries": webhooks.of_alert(alert),
        "waiting": alert.escalations.filter(due_at__isnull=False).select_related("step").order_by("due_at"),
    }


def prune(before: datetime) -> int:
    """Forget what happened before then; alerts themselves stay."""
    return AlertEvent.objects.filter(at__lt=before).delete()[0]
