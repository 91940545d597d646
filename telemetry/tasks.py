"""Celery's view of this app: thin, idempotent wrappers."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from telemetry import derive as derivation
from telemetry import drain as drains
from telemetry import housekeeping, nudge, touched


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
    """What follows from records that were stored; then look once more after lowering the flag."""
    nudge.keep_up(shard, "derive")
    derivation.derive(shard, lambda: nudge.keep_up(shard, "derive"))
    nudge.lower(shard, "derive")
    derivation.derive(shard)


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
    for shard in touched.shards():
        nudge.lower(shard, "derive")
        nudge.send(shard, "derive")
    housekeeping.beat(timezone.now())


@shared_task(name="telemetry.keep_partitions")
def keep_partitions() -> None:
    housekeeping.keep_partitions(timezone.now(), settings.TELEMETRY_RETENTION_MONTHS)


@shared_task(name="telemetry.prune")
def prune() -> None:
    housekeeping.prune(timezone.now(), settings.TELEMETRY_HELD_DAYS)
