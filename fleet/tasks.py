"""Celery's view of this app: thin, idempotent wrappers."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from fleet.aggregation import kept, rollups
from fleet.alerting import escalation, silence
from fleet.api import idempotency
from fleet.notifying import deliveries, mails, notifications
from fleet.notifying.wake import OneAtATime, wake
from fleet.people import account, invitations, sessions
from fleet.privacy import retention, spans, wishes
from fleet.recording import footage, scenarios
from fleet.reports import deliveries as report_mails
from fleet.reports import exports, schedules

_mails, _webhooks = OneAtATime(mails.send_due), OneAtATime(deliveries.send_due)
_wishes = OneAtATime(wishes.grant_due)
_files, _report_mails = OneAtATime(exports.make_due), OneAtATime(report_mails.send_due)


@shared_task(name="fleet.prune_idempotency_keys")
def prune_idempotency_keys() -> None:
    idempotency.prune(timezone.now())


@shared_task(name="fleet.expire_footage")
def expire_footage() -> None:
    """Footage that is too old, uploads nobody resumed, files nobody knows."""
    scenarios.expire(timezone.now())
    footage.sweep_orphans(timezone.now())


@shared_task(name="fleet.keep_private")
def keep_private() -> None:
    """Private hours of the weeks ahead, of new vehicles too."""
    spans.keep_up(timezone.now())


@shared_task(name="fleet.grant_wishes", time_limit=3600)
def grant_wishes() -> None:
    """Files about people, and their erasure."""
    _wishes.run()


@shared_task(name="fleet.sweep_wishes")
def sweep_wishes() -> None:
    """Those whose task was lost or whose worker died; files that are too old."""
    now = timezone.now()
    wishes.expire(now)
    if wishes.anything_due(now):
        grant_wishes.delay()


@shared_task(name="fleet.keep_retention")
def keep_retention() -> None:
    """Positions, visits and sums by day that are older than their fleet keeps them."""
    retention.forget(timezone.now())


@shared_task(name="fleet.check_silence")
def check_silence() -> None:
    silence.check(timezone.now())


@shared_task(name="fleet.send_mails")
def send_mails() -> None:
    _mails.run()


@shared_task(name="fleet.send_webhooks")
def send_webhooks() -> None:
    _webhooks.run()


@shared_task(name="fleet.sweep_notifications")
def sweep_notifications() -> None:
    """Alerts nobody acknowledged in time; whatever a lost task or a dead worker left unsent."""
    now = timezone.now()
    escalation.escalate(now)
    if mails.anything_due(now) or deliveries.anything_due(now):
        wake()


@shared_task(name="fleet.prune_notifications")
def prune_notifications() -> None:
    if settings.NOTIFICATION_DAYS:
        notifications.prune(timezone.now() - timedelta(days=settings.NOTIFICATION_DAYS))


@shared_task(name="fleet.keep_rollups")
def keep_rollups() -> None:
    """Sum up the days that were touched."""
    rollups.keep_up(timezone.now())


@shared_task(name="fleet.prune_rollups")
def prune_rollups() -> None:
    """Forget minutes and hours that are too old."""
    kept.prune(timezone.now())


@shared_task(name="fleet.send_invitation")
def send_invitation(pk: int) -> None:
    invitations.send_one(pk)


@shared_task(name="fleet.send_invitations")
def send_invitations() -> None:
    """Those whose task was lost or whose mail server was down."""
    invitations.send_due()


@shared_task(name="fleet.send_reset")
def send_reset(email: str) -> None:
    account.send_reset(email)


@shared_task(name="fleet.send_new_address")
def send_new_address(user_id: int, email: str) -> None:
    account.send_new_address(user_id, email)


@shared_task(name="fleet.send_notice")
def send_notice(user_id: int, what: str, email: str) -> None:
    account.send_notice(user_id, what, email)


@shared_task(name="fleet.forget_sessions")
def forget_sessions() -> None:
    sessions.prune()


@shared_task(name="fleet.make_reports", time_limit=3600)
def make_reports() -> None:
    _files.run()


@shared_task(name="fleet.send_reports")
def send_reports() -> None:
    _report_mails.run()


@shared_task(name="fleet.sweep_reports")
def sweep_reports() -> None:
    """Schedules whose time has come; files and mails that a lost task or a dead worker left behind."""
    now = timezone.now()
    schedules.plan_due(now)
    if exports.anything_due(now):
        make_reports.delay()
    if report_mails.anything_due(now):
        send_reports.delay()


@shared_task(name="fleet.expire_reports")
def expire_reports() -> None:
    exports.expire(timezone.now())
