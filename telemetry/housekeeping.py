"""What must happen from time to time: sweeping the inbox, making and dropping partitions, forgetting old gaps."""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from telemetry import partitions, retention
from telemetry.frames import to_us
from telemetry.models import Frame, Gap, HeldFrame, Stream
from telemetry.sql import moment

WORKER_SEEN = "telemetry-worker-seen"


def shards_with_due_frames() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT vehicle_id %% %s FROM telemetry_frame WHERE due_at <= %s",
            [settings.DRAIN_SHARDS, moment(to_us(timezone.now()))],
        )
        return sorted(shard for (shard,) in cursor.fetchall())


def beat(now: datetime) -> None:
    """Proof that beat, broker and worker are alive, for /health."""
    cache.set(WORKER_SEEN, now.timestamp(), 3600)


def keep_partitions(now: datetime, keep_months: int) -> list[str]:
    partitions.ensure_ahead(now)
    return [*partitions.drop_before(now, keep_months), *retention.keep(now)]


def prune(now: datetime, held_days: int) -> None:
    """A record missing for this long will not come; without its gap a late one is stored as it was sent."""
    before = now - timedelta(days=held_days)
    HeldFrame.objects.filter(received_at__lt=before).delete()
    Gap.objects.filter(opened_at__lt=before).delete()
    Stream.objects.filter(updated_at__lt=before).exclude(stream_id=0).delete()


def oldest_frame_age(now: datetime) -> float | None:
    """Seconds since the oldest unprocessed record came; None when the inbox is empty."""
    received = Frame.objects.order_by("id").values_list("received_at", flat=True).first()
    return None if received is None else max(0.0, (now - received).total_seconds())
