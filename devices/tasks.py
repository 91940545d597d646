"""Celery's view of this app: thin, idempotent wrappers."""

from celery import shared_task
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from devices import commands, configuration, releases, status, tufrepository


@shared_task(name="devices.forget_sessions")
def forget_sessions() -> None:
    """Refresh tokens that have expired need no place on the list of used ones."""
    OutstandingToken.objects.filter(expires_at__lte=timezone.now()).delete()


@shared_task(name="devices.expire_commands")
def expire_commands() -> None:
    commands.expire_overdue(timezone.now())


@shared_task(name="devices.prune_statuses")
def prune_statuses() -> None:
    """What devices said of themselves long ago."""
    status.prune(timezone.now())


@shared_task(name="devices.sweep_releases")
def sweep_releases() -> None:
    """Files of releases that are no more."""
    releases.sweep_orphans(timezone.now())


@shared_task(name="devices.settle_configurations")
def settle_configurations() -> None:
    configuration.settle_strays()


@shared_task(name="devices.refresh_tuf")
def refresh_tuf() -> None:
    tufrepository.refresh(timezone.now())
