"""Webhooks of a fleet: what managers do with them, and planning a delivery when an alert changes."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from fleet.audit import Actor, record
from fleet.jsontext import dumped
from fleet.models import (
    Alert,
    AlertEvent,
    DeliveryState,
    Fleet,
    Happening,
    Severity,
    Webhook,
    WebhookDelivery,
)
from fleet.notifying.outbound import RefusedError, check
from fleet.notifying.wake import wake
from fleet.sealed import seal, unseal

LIMIT = 20
GIVE_UP_AFTER = timedelta(hours=24)
OLD_SECRET_FOR = timedelta(hours=24)
TEST = "test"


class WebhookError(ValueError):
    """A webhook that cannot be kept, or be told to do this. `field` and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def plan(event: AlertEvent, alert: Alert) -> None:
    """One delivery per webhook that wants it, in the transaction of the event."""
    hooks = Webhook.objects.filter(fleet=alert.fleet_id, enabled=True, severity__lte=alert.severity)
    wanted = [hook for hook in hooks if event.kind in hook.kinds]
    if not wanted:
        return
    body = _body(f"alert.{event.kind}", event.at, about(alert) | {"event": event.kind, "by": event.by})
    deliveries = [_delivery(hook, event, event.kind, body, event.at) for hook in wanted]
    WebhookDelivery.objects.bulk_create(deliveries, ignore_conflicts=True)


def about(alert: Alert) -> dict[str, Any]:
    """An alert as a receiver is told of it."""
    return {
        "id": alert.pk,
        "type": alert.type,
        "severity": Severity(alert.severity).label,
        "message": alert.message,
        "data": alert.data,
        "source": alert.source,
        "state": str(alert.state),
        "count": alert.count,
        "first_at": alert.first_at.isoformat(),
        "last_at": alert.last_at.isoformat(),
        "fleet_id": alert.fleet.slug,
        "vehicle_id": alert.vehicle.slug,
        "vehicle_name": alert.vehicle.name,
        "license_plate": alert.vehicle.plate,
        "url": f"{settings.SITE_URL}/alerts/{alert.pk}",
    }


def _body(kind: str, at: datetime, data: dict[str, Any]) -> str:
    return dumped({"type": kind, "timestamp": at.isoformat(), "data": data}).decode()


def _delivery(
    hook: Webhook, event: AlertEvent | None, kind: str, body: str, now: datetime
) -> WebhookDelivery:
    # While a receiver is down only its probes go out; the rest waits with them.
    due = max(now, hook.retry_at) if hook.retry_at and event else now
    give_up = now + GIVE_UP_AFTER if event else now
    return WebhookDelivery(
        webhook=hook,
        event=event,
        public_id=uuid4(),
        kind=kind,
        body=body,
        due_at=due,
        give_up_at=give_up,
        created_at=now,
    )


def signature(secret: str, public_id: UUID, timestamp: int, body: bytes) -> str:
    """`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`, as Standard Webhooks has it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{public_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def signatures(hook: Webhook, public_id: UUID, now: datetime, body: bytes) -> str:
    """By the secret, and for a day after it was replaced also by the one before."""
    sealed = [hook.sealed_secret]
    if hook.sealed_old_secret and hook.old_until and hook.old_until > now:
        sealed.append(hook.sealed_old_secret)
    moment = int(now.timestamp())
    return " ".join(signature(unseal(one), public_id, moment, body) for one in sealed)


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@transaction.atomic
def create(actor: Actor, fleet: Fleet, wish: Webhook) -> tuple[Webhook, str]:
    """The webhook and its secret, which is told this once. Raises WebhookError."""
    _judge(wish)
    Fleet.objects.select_for_update(no_key=True).get(pk=fleet.pk)
    if fleet.webhooks.count() >= LIMIT:
        raise WebhookError("url", f"A fleet has at most {LIMIT} webhooks: delete one first.")
    secret = new_secret()
    wish.fleet, wish.sealed_secret = fleet, seal(secret)
    wish.save()
    record(actor, "webhook.created", wish, fleet, ({}, wish.facts()))
    return wish, secret


@transaction.atomic
def change(actor: Actor, hook: Webhook, wish: dict[str, Any]) -> Webhook:
    """Any of name, url, severity, kinds, enabled. Raises WebhookError."""
    found = Webhook.objects.select_for_update().get(pk=hook.pk)
    before = found.facts()
    for name, value in wish.items():
        setattr(found, name, value)
    _judge(found)
    if found.facts() == before:
        return found
    if found.url != before["url"]:
        found.failing_since = found.retry_at = None
    found.save()
    if not found.enabled:
        drop_waiting(found.pk, timezone.now())
    record(actor, "webhook.changed", found, found.fleet, (before, found.facts()))
    return found


def _judge(hook: Webhook) -> None:
    if not hook.name.strip():
        raise WebhookError("name", "Give it a name.")
    if not hook.kinds or not set(hook.kinds) <= set(Happening.values):
        raise WebhookError("kinds", f"Choose at least one of {', '.join(Happening.values)}.")
    try:
        check(hook.url)
    except RefusedError as error:
        raise WebhookError("url", str(error)) from None


def drop_waiting(hook_id: int, now: datetime) -> None:
    """Nobody sends to a disabled webhook."""
    waiting = WebhookDelivery.objects.filter(webhook=hook_id, state=DeliveryState.WAITING, claim="")
    waiting.update(state=DeliveryState.DEAD, due_at=None, ended_at=now)


@transaction.atomic
def renew_secret(actor: Actor, hook: Webhook) -> str:
    """A new secret, told this once; the one before signs beside it for a day."""
    found = Webhook.objects.select_for_update().get(pk=hook.pk)
    secret = new_secret()
    found.sealed_old_secret, found.old_until = found.sealed_secret, timezone.now() + OLD_SECRET_FOR
    found.sealed_secret = seal(secret)
    found.save()
    record(actor, "webhook.secret_renewed", found, found.fleet, ({}, {"name": found.name}))
    return secret


@transaction.atomic
def remove(actor: Actor, hook: Webhook) -> None:
    """With its log."""
    record(actor, "webhook.deleted", hook, hook.fleet, (hook.facts(), {}))
    hook.delete()


@transaction.atomic
def test(actor: Actor, hook: Webhook) -> WebhookDelivery:
    """A message that is tried once, whatever the webhook wants to hear. Raises WebhookError."""
    hook = Webhook.objects.select_for_update(of=("self",)).select_related("fleet").get(pk=hook.pk)
    if not hook.enabled:
        raise WebhookError("enabled", "It is disabled: enable it first.")
    now = timezone.now()
    data = {"fleet_id": hook.fleet.slug, "message": f"A test by {actor.name}.", "url": settings.SITE_URL}
    delivery = _delivery(hook, None, TEST, _body("test", now, data), now)
    delivery.save()
    record(actor, "webhook.tested", hook, hook.fleet, ({}, {"name": hook.name}))
    transaction.on_commit(wake)
    return delivery


@transaction.atomic
def resend(actor: Actor, delivery: WebhookDelivery) -> WebhookDelivery:
    """The same message with the same id, now; tried for another day. Raises WebhookError."""
    found = WebhookDelivery.objects.select_for_update(of=("self",)).select_related("webhook__fleet")
    mine = found.get(pk=delivery.pk)
    now = timezone.now()
    if not mine.webhook.enabled:
        raise WebhookError("enabled", "The webhook is disabled: enable it first.")
    if mine.busy_at(now):
        raise WebhookError("state", "It is being sent in this moment: look again in a minute.")
    before = mine.state
    mine.state, mine.due_at, mine.claim, mine.ended_at = DeliveryState.WAITING, now, "", None
    mine.give_up_at = now + GIVE_UP_AFTER if mine.event_id else now
    mine.save(update_fields=["state", "due_at", "claim", "ended_at", "give_up_at"])
    told = ({"state": before}, {"state": mine.state.value, "delivery": str(mine.public_id)})
    record(actor, "webhook.resent", mine.webhook, mine.webhook.fleet, told)
    transaction.on_commit(wake)
    return mine


def of_alert(alert: Alert) -> "QuerySet[WebhookDelivery]":
    found = WebhookDelivery.objects.filter(event__alert=alert).select_related("webhook", "event")
    return found.order_by("-id")[:100]
