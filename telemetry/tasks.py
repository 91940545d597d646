"""Celery's view of this app: thin, idempotent wrappers."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from telemetry import drain as drains
from telemetry import housekeeping, nudge
from telemetry.derivation import derive as derivation
from telemetry.derivation import driving_anew
from telemetry.derivation.touched import PACED, QUICK, Lane


@shared_task(name="telemetry.drain")
def drain(shard: int) -> None:
    """Work one shard until it is empty, then look once more after lowering the flag."""
    nudge.keep_up(shard)
    while drains.drain(shard):
        nudge.keep_up(shard)
    nudge.lower(shard)
    drains.drain(shard)


@shared_task(name="telemetry.derive")
def derive(shard: int) -> None:
    """What somebody waits for; then look once more after lowering the flag."""
    _derive(shard, "derive", QUICK)


@shared_task(name="telemetry.derive_paced")
def derive_paced(shard: int) -> None:
    """What can wait some seconds."""
    _derive(shard, "derive_paced", PACED)


def _derive(shard: int, task: str, lane: Lane) -> None:
    nudge.keep_up(shard, task)
    derivation.derive(shard, lambda: nudge.keep_up(shard, task), lane)
    nudge.lower(shard, task)
    derivation.derive(shard, lane=lane)


@shared_task(name="telemetry.take_up_rules")
def take_up_rules() -> None:
    derivation.take_up()


@shared_task(name="telemetry.sweep")
def sweep() -> None:
    """Find what a lost task left behind, and gaps whose time is up."""
    for shard in housekeeping.shards_with_due_frames():
        nudge.lower(shard)
        nudge.send(shard)
    derivation.take_up()
    driving_anew.take_up()
    for task, lane in (("derive", QUICK), ("derive_paced", PACED)):
        for shard in derivation.waiting(lane):
            nudge.lower(shard, task)
            nudge.send(shard, task)
    housekeeping.beat(timezone.now())


@shared_task(name="telemetry.keep_partitions")
def keep_partitions() -> None:
    housekeeping.keep_partitions(timezone.now(), settings.TELEMETRY_RETENTION_MONTHS)


@shared_task(name="telemetry.prune")
def prune() -> None:
    housekeeping.prune(timezone.now(), settings.TELEMETRY_HELD_DAYS)
