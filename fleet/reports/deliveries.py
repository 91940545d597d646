"""Scheduled reports on their way to people's mailboxes: attached, or as a link when large. No mail goes out twice.

The rows are there with the finished file. A claim is a lease; the mark `sending` is committed right before the mail
server gets the message (fleet/notifying/posting.py), as for alerts in fleet/notifying/mails.py.
"""

import uuid
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import F, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from fleet.models import ExportState, MailState, ReportDelivery, ReportExport, ReportFormat, Role, WhenEmpty
from fleet.notifying import mail
from fleet.notifying.posting import Posted, post
from fleet.reports.registry import named
from fleet.reports.wishes import Wish

ATTACHED_MOST = 5 * 1024 * 1024
"""A larger file is a link: mail servers refuse what is large."""
LEASE = timedelta(minutes=5)
GIVE_UP_AFTER = timedelta(hours=24)
_FIRST_RETRY_S, _LONGEST_RETRY_S = 30, 1800
_READERS = (Role.VIEWER, Role.MANAGER, Role.OWNER)


def outcome(export: ReportExport, rows: int) -> ExportState:
    """What a written file counts as: without a row, a schedule may want none."""
    schedule = export.schedule
    skipped = schedule is not None and not rows and schedule.when_empty == WhenEmpty.SKIP
    return ExportState.EMPTY if skipped else ExportState.DONE


def plan(export: ReportExport, now: datetime) -> None:
    """One row for each recipient who may read the fleet's reports; in the transaction that ends the export."""
    if export.schedule is None:
        return
    people = export.schedule.recipients.filter(
        is_active=True, memberships__fleet=export.fleet_id, memberships__role__in=_READERS
    )
    ReportDelivery.objects.bulk_create(
        [ReportDelivery(export=export, user=user, due_at=now, created_at=now) for user in people.distinct()],
        ignore_conflicts=True,
    )
    mail.queue("fleet.send_reports")


def anything_due(now: datetime) -> bool:
    return ReportDelivery.objects.filter(due_at__lte=now).exists()


def send_due() -> int:
    """Send until nothing is due. How many e-mails."""
    sent = 0
    while delivery := claim(timezone.now()):
        sent += deliver(delivery)
    return sent


def claim(now: datetime) -> ReportDelivery | None:
    while True:
        with transaction.atomic():
            due = ReportDelivery.objects.filter(due_at__lte=now).order_by("due_at", "id")
            row = due.select_for_update(skip_locked=True, of=("self",)).first()
            if row is None:
                return None
            if row.state == MailState.SENDING:
                reason = (
                    "The worker ended while it handed it over: it may have arrived, so it is not sent again."
                )
                _close(row, MailState.UNCERTAIN, now, reason)
            elif not _reads(row):
                _close(row, MailState.DROPPED, now, "May not read the fleet’s reports any more.")
            else:
                row.claim, row.due_at = uuid.uuid4().hex, now + LEASE
                row.save(update_fields=["claim", "due_at"])
                return row


def _reads(row: ReportDelivery) -> bool:
    member = row.user.memberships.filter(fleet=row.export.fleet_id, role__in=_READERS)
    return row.user.is_active and member.exists()


def _close(row: ReportDelivery, state: MailState, now: datetime, reason: str) -> None:
    row.state, row.due_at, row.claim, row.ended_at, row.error = state, None, "", now, reason
    row.save()


def deliver(row: ReportDelivery) -> bool:
    """Of a claimed row. False: not yet, or not at all; the row says why."""
    posted, reason = post(lambda connection: letter(row, connection), lambda: _hand_over(row))
    match posted:
        case Posted.SENT:
            _end(row, MailState.SENT)
        case Posted.LATER:
            _postpone(row, reason)
        case Posted.REFUSED:
            _end(row, MailState.FAILED, reason)
        case Posted.UNCERTAIN:
            _end(row, MailState.UNCERTAIN, reason)
    return posted is Posted.SENT


def _mine(row: ReportDelivery) -> "QuerySet[ReportDelivery]":
    return ReportDelivery.objects.filter(pk=row.pk, claim=row.claim)


def _hand_over(row: ReportDelivery) -> bool:
    now = timezone.now()
    marked = _mine(row).filter(due_at__gt=now, state=MailState.WAITING)
    return bool(
        marked.update(state=MailState.SENDING, handed_at=now, due_at=now + LEASE, attempts=F("attempts") + 1)
    )


def _postpone(row: ReportDelivery, reason: str) -> None:
    now = timezone.now()
    if row.created_at <= now - GIVE_UP_AFTER:
        _end(row, MailState.FAILED, reason)
        return
    wait = min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2 ** min(row.attempts, 10))
    _mine(row).update(
        state=MailState.WAITING, due_at=now + timedelta(seconds=wait), claim="", error=reason[:300],
        attempts=row.attempts + 1,
    )  # fmt: skip


def _end(row: ReportDelivery, state: MailState, reason: str = "") -> None:
    _mine(row).update(state=state, due_at=None, claim="", ended_at=timezone.now(), error=reason[:300])


def letter(row: ReportDelivery, connection: BaseEmailBackend) -> EmailMessage:
    """The same row gives the same Message-ID. Raises OSError when the file cannot be read."""
    export = row.export
    report, wish = named(export.report), Wish.of(export.wish)
    says_nothing = not export.rows and export.schedule and export.schedule.when_empty == WhenEmpty.SAY
    attached = not says_nothing and bool(export.stored_as) and (export.size_bytes or 0) <= ATTACHED_MOST
    days = f"{wish.first}" if wish.first == wish.last else f"{wish.first} to {wish.last}"
    facts: dict[str, Any] = {
        "export": export,
        "title": report.title if report else export.report,
        "days": days,
        "attached": attached,
        "nothing": says_nothing,
        "link": mail.address_of(reverse("export", args=[export.uid])),
        "schedule": mail.address_of(reverse("report-schedules", args=[export.fleet.slug])),
    }
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    name = export.schedule.name if export.schedule else facts["title"]
    message = EmailMessage(
        " ".join(f"{name}: {days} · {export.fleet.name}".split())[:200],
        render_to_string("mail/report.txt", facts).strip() + "\n",
        to=[row.user.email],
        headers={"Message-ID": f"<report-{row.pk}@{domain}>", "Auto-Submitted": "auto-generated"},
        connection=connection,
    )
    if attached:
        from fleet.reports.files import MEDIA_TYPES

        with default_storage.open(export.stored_as, "rb") as file:
            message.attach(
                export.filename, file.read(), MEDIA_TYPES[ReportFormat(export.format)].partition(";")[0]
            )
    return message
