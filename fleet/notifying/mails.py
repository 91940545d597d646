"""Sending what waits for people's mailboxes. No e-mail is sent twice; where nobody knows the outcome, the log says so.

All that is due for a person goes out as one e-mail, so quiet hours end with one digest. A claim is a lease, as in
deliveries.py. The mark `sending` is committed when the mail server is connected and right before it gets the
message: a worker that dies before it leaves everything as it was; after it nobody knows whether the server took it.
"""

import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from fleet.models import (
    Channel,
    Membership,
    Notification,
    NotificationChoice,
    NotificationState,
    Severity,
    User,
)
from fleet.notifying.letters import letter
from fleet.notifying.posting import Posted, post
from fleet.notifying.quiet import quiet_until

LEASE = timedelta(minutes=5)
"""Longer than a mail server may take (EMAIL_TIMEOUT counts per step of its protocol)."""
GIVE_UP_AFTER = timedelta(hours=24)
LONGEST_RUN = timedelta(seconds=120)
_FIRST_RETRY_S, _LONGEST_RETRY_S = 30, 1800
_CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Parcel:
    """Everything that one e-mail tells one person."""

    user: User
    rows: list[Notification]
    claim: str

    @property
    def mine(self) -> "QuerySet[Notification]":
        return Notification.objects.filter(pk__in=[row.pk for row in self.rows], claim=self.claim)


def send_due() -> int:
    """Send until nothing is due. How many e-mails."""
    done = 0
    until = timezone.now() + LONGEST_RUN
    while timezone.now() < until and anything_due(timezone.now()):
        parcel = claim(timezone.now())
        if parcel is None:
            break
        done += deliver(parcel)
    return done


def anything_due(now: datetime) -> bool:
    return Notification.objects.filter(due_at__lte=now).exists()


def claim(now: datetime) -> Parcel | None:
    """What is due for some person nobody else is busy with. None: nothing, or all of it is held or being claimed."""
    for _ in range(_CANDIDATES):
        with transaction.atomic():
            waiting = Notification.objects.filter(due_at__lte=now, channel=Channel.EMAIL)
            people = waiting.order_by("due_at").values_list("user_id", flat=True)[:_CANDIDATES]
            free = User.objects.filter(pk__in=set(people)).select_for_update(skip_locked=True, no_key=True)
            user = free.first()
            if user is None:
                return None
            rows = list(waiting.filter(user=user).select_related("event__alert").order_by("id"))
            rows = _held(user, _wanted(user, _certain(rows, now), now), now)
            if rows:
                token = uuid.uuid4().hex
                Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
                    claim=token, due_at=now + LEASE
                )
                return Parcel(user, rows, token)
    return None


def _certain(rows: list[Notification], now: datetime) -> list[Notification]:
    """Without those that somebody began to hand over and then fell silent."""
    lost = [row.pk for row in rows if row.state == NotificationState.SENDING]
    if lost:
        Notification.objects.filter(pk__in=lost).update(
            state=NotificationState.UNCERTAIN,
            due_at=None,
            ended_at=now,
            error="The worker ended while it handed it over: it may have arrived, so it is not sent again.",
        )
    return [row for row in rows if row.state == NotificationState.WAITING]


def _wanted(user: User, rows: list[Notification], now: datetime) -> list[Notification]:
    """Without those of a fleet the person has left."""
    fleets = set(
        Membership.objects.filter(user=user, user__is_active=True).values_list("fleet_id", flat=True)
    )
    gone = [row.pk for row in rows if row.fleet_id not in fleets]
    if gone:
        Notification.objects.filter(pk__in=gone).update(
            state=NotificationState.DROPPED,
            due_at=None,
            ended_at=now,
            error="No longer a member of the fleet.",
        )
    return [row for row in rows if row.fleet_id in fleets]


def _held(user: User, rows: list[Notification], now: datetime) -> list[Notification]:
    """Without those that quiet hours hold back: these are due again when the hours end."""
    quiet: dict[int, tuple[datetime, bool]] = {}
    zone = ZoneInfo(user.time_zone)
    for choice in NotificationChoice.objects.filter(user=user, quiet_from__isnull=False):
        assert choice.quiet_from is not None and choice.quiet_to is not None
        over = quiet_until(now, zone, choice.quiet_from, choice.quiet_to)
        if over is not None:
            quiet[choice.fleet_id] = (over, choice.critical_breaks)
    free, held = [], defaultdict(list)
    for row in rows:
        over, breaks = quiet.get(row.fleet_id, (now, False))
        if over > now and not (breaks and row.event.severity == Severity.CRITICAL):
            held[over].append(row.pk)
        else:
            free.append(row)
    for over, keys in held.items():
        Notification.objects.filter(pk__in=keys).update(due_at=over)
    return free


def deliver(parcel: Parcel) -> bool:
    """One e-mail, or a reason why not yet."""
    outcome, reason = post(
        lambda connection: letter(parcel.user, parcel.rows, connection), lambda: _hand_over(parcel)
    )
    match outcome:
        case Posted.SENT:
            _end(parcel, NotificationState.SENT)
        case Posted.LATER:
            _postpone(parcel, reason)
        case Posted.REFUSED:
            _end(parcel, NotificationState.FAILED, reason)
        case Posted.UNCERTAIN:
            _end(parcel, NotificationState.UNCERTAIN, reason)
    return outcome is Posted.SENT


def _hand_over(parcel: Parcel) -> bool:
    """The committed mark: from here on the mail server may have it. All of the parcel or nothing."""
    now = timezone.now()
    with transaction.atomic():
        marked = parcel.mine.filter(due_at__gt=now).update(
            state=NotificationState.SENDING, handed_at=now, due_at=now + LEASE, attempts=F("attempts") + 1
        )
        whole = marked == len(parcel.rows)
        if not whole:  # the lease is over: somebody else has it, or will
            transaction.set_rollback(True)
    return whole


def _postpone(parcel: Parcel, reason: str) -> None:
    now = timezone.now()
    attempts = max(row.attempts for row in parcel.rows) + 1
    due = now + timedelta(seconds=min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2 ** min(attempts - 1, 10)))
    old = parcel.mine.filter(created_at__lte=now - GIVE_UP_AFTER)
    old.update(state=NotificationState.FAILED, due_at=None, claim="", ended_at=now, error=reason[:300])
    parcel.mine.update(
        state=NotificationState.WAITING, due_at=due, claim="", error=reason[:300], attempts=attempts
    )


def _end(parcel: Parcel, state: NotificationState, reason: str = "") -> None:
    parcel.mine.update(state=state, due_at=None, claim="", ended_at=timezone.now(), error=reason[:300])
