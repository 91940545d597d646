"""Sending what waits for webhooks: each message by one worker at a time, again after a failure, given up after a day.

A claim is a lease: `due_at` moves ahead, and a worker that dies gives its messages back by doing nothing. Right before
the bytes go out a committed mark says `sending`. Who finds that mark with its lease over cannot know whether the
receiver got the message, so it goes out again under the same id, by which the receiver drops it.
"""

import random
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import Coalesce, RowNumber
from django.utils import timezone

from fleet.models import DeliveryState, Webhook, WebhookDelivery
from fleet.notifying.outbound import Answer, post
from fleet.notifying.webhooks import drop_waiting, signatures
from fleet.sealed import UnreadableError

WIDTH = 8
"""Messages on the way at once, per worker; of them so many for one webhook that a dead one cannot take all places."""
PER_WEBHOOK = 3
LEASE = timedelta(seconds=60)
"""Longer than an exchange can take (fleet.notifying.outbound.TOTAL_S and the resolver)."""
FIRST_RETRY_S, LONGEST_RETRY_S = 5.0, 3600.0
LONGEST_RUN_S = 120.0
_LOG_LIMIT = 40
_GONE = 410


def retry_after_s(attempts: int, asked: float | None, chance: float) -> float:
    """Seconds until the next attempt after so many failed ones: doubled each time, up to an hour, a random half of it
    taken off; never sooner than the receiver asked for. `chance`: 0 to 1."""
    backoff = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(attempts - 1, 20))
    return max(backoff * (0.5 + chance / 2), asked or 0.0)


def send_due(width: int = WIDTH) -> int:
    """Send until nothing is due. How many exchanges."""
    flying: dict[Future[Answer], WebhookDelivery] = {}
    done = 0
    until = timezone.now() + timedelta(seconds=LONGEST_RUN_S)
    with ThreadPoolExecutor(width) as pool:
        while True:
            now = timezone.now()
            if now < until and len(flying) < width:
                for delivery in hand_over(claim(now, width - len(flying), list(flying.values()))):
                    flying[pool.submit(_send, delivery, timezone.now())] = delivery
            if not flying:
                return done
            # A slow receiver keeps its own place only: every moment there is a look for what else is due.
            for future in wait(flying, timeout=0.5, return_when=FIRST_COMPLETED).done:
                settle(flying.pop(future), future.result(), timezone.now())
                done += 1


def claim(now: datetime, limit: int, flying: list[WebhookDelivery]) -> list[WebhookDelivery]:
    """What is due, from now on this worker's for the length of the lease."""
    full = [delivery.webhook_id for delivery in flying]
    busy = {hook for hook in full if full.count(hook) >= PER_WEBHOOK}
    due = WebhookDelivery.objects.filter(due_at__lte=now, webhook__enabled=True).exclude(webhook__in=busy)
    place = Window(RowNumber(), partition_by="webhook_id", order_by=[F("due_at"), F("id")])
    keys = list(due.alias(place=place).filter(place__lte=PER_WEBHOOK).values_list("pk", flat=True)[:limit])
    if not keys:
        return []
    with transaction.atomic():
        mine = WebhookDelivery.objects.filter(pk__in=keys, due_at__lte=now).select_related("webhook")
        rows = list(mine.select_for_update(of=("self",), skip_locked=True).order_by("due_at", "id"))
        token = uuid.uuid4().hex
        WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows]).update(
            claim=token, due_at=now + LEASE
        )
    for row in rows:
        row.claim = token
    return rows


def hand_over(rows: list[WebhookDelivery]) -> list[WebhookDelivery]:
    """The committed mark: from here on the receiver may have got it. Rows whose lease is over are left out."""
    kept = []
    for row in rows:
        now = timezone.now()
        if row.state == DeliveryState.SENDING:  # somebody began, and ended without a word
            _log(
                row,
                row.handed_at or now,
                Answer(None, 0, error="the worker ended before it knew the outcome"),
            )
        mine = WebhookDelivery.objects.filter(pk=row.pk, claim=row.claim, due_at__gt=now)
        marked = mine.update(
            state=DeliveryState.SENDING,
            attempts=F("attempts") + 1,
            handed_at=now,
            due_at=now + LEASE,
            log=row.log,
        )
        if marked:
            row.attempts, row.handed_at = row.attempts + 1, now
            kept.append(row)
    return kept


def _send(delivery: WebhookDelivery, now: datetime) -> Answer:
    """In a thread of the pool: no database here."""
    body = delivery.body.encode()
    try:
        signed = signatures(delivery.webhook, delivery.public_id, now, body)
    except UnreadableError as error:
        return Answer(None, 0, error=f"The secret cannot be read: {error} Make a new one.")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Convoy-Webhooks/1",
        "webhook-id": str(delivery.public_id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signed,
    }
    return post(delivery.webhook.url, headers, body)


@transaction.atomic
def settle(delivery: WebhookDelivery, answer: Answer, now: datetime) -> None:
    """Write the outcome down, unless somebody else has taken it over meanwhile."""
    _log(delivery, delivery.handed_at or now, answer)
    told: dict[str, Any] = {
        "claim": "",
        "log": delivery.log,
        "status": answer.status,
        "latency_ms": answer.latency_ms,
    }
    wait_s = retry_after_s(delivery.attempts, answer.retry_after_s, random.random())
    again = min(now + timedelta(seconds=wait_s), max(delivery.give_up_at, now))
    if answer.good:
        told |= {"state": DeliveryState.DELIVERED, "due_at": None, "ended_at": now}
    elif now >= delivery.give_up_at or answer.status == _GONE:
        told |= {"state": DeliveryState.DEAD, "due_at": None, "ended_at": now}
    else:
        told |= {"state": DeliveryState.WAITING, "due_at": again}
    mine = WebhookDelivery.objects.filter(pk=delivery.pk, claim=delivery.claim)
    if mine.update(**told):
        _note_health(delivery, answer, now, again)


def _note_health(delivery: WebhookDelivery, answer: Answer, now: datetime, again: datetime) -> None:
    hook = Webhook.objects.filter(pk=delivery.webhook_id)
    others = WebhookDelivery.objects.filter(
        webhook=delivery.webhook_id, state=DeliveryState.WAITING, claim=""
    ).exclude(pk=delivery.pk)
    if answer.good:
        hook.update(delivered_at=now)
        if hook.filter(failing_since__isnull=False).update(failing_since=None, retry_at=None):
            others.filter(due_at__gt=now).update(due_at=now)  # what waited for it need not wait any longer
    elif answer.status == _GONE:
        hook.update(enabled=False, failing_since=now)
        drop_waiting(delivery.webhook_id, now)
    elif delivery.event_id:
        # While it is down, its oldest message tries; the others wait with that.
        hook.update(retry_at=again, failing_since=Coalesce("failing_since", now))
        others.filter(due_at__lt=again).update(due_at=again)


def _log(delivery: WebhookDelivery, at: datetime, answer: Answer) -> None:
    entry = {
        "at": at.isoformat(),
        "status": answer.status,
        "latency_ms": answer.latency_ms,
        "answer": answer.excerpt,
        "error": answer.error,
    }
    delivery.log = [*delivery.log, entry][-_LOG_LIMIT:]


def anything_due(now: datetime) -> bool:
    return WebhookDelivery.objects.filter(due_at__lte=now, webhook__enabled=True).exists()
