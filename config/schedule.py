"""What Celery beat starts, and how often. Every task may run twice, or late, without harm."""

from datetime import timedelta
from typing import Any

SCHEDULE: dict[str, Any] = {
    "sweep-inbox": {"task": "telemetry.sweep", "schedule": timedelta(seconds=5)},
    "keep-partitions": {"task": "telemetry.keep_partitions", "schedule": timedelta(hours=6)},
    "prune-inbox": {"task": "telemetry.prune", "schedule": timedelta(hours=1)},
    "check-silence": {"task": "fleet.check_silence", "schedule": timedelta(seconds=5)},
    "expire-commands": {"task": "devices.expire_commands", "schedule": timedelta(seconds=10)},
    "settle-configurations": {"task": "devices.settle_configurations", "schedule": timedelta(minutes=1)},
    "refresh-tuf": {"task": "devices.refresh_tuf", "schedule": timedelta(hours=1)},
    "prune-idempotency-keys": {"task": "fleet.prune_idempotency_keys", "schedule": timedelta(hours=1)},
    "forget-sessions": {"task": "devices.forget_sessions", "schedule": timedelta(hours=12)},
    "sweep-notifications": {"task": "fleet.sweep_notifications", "schedule": timedelta(seconds=5)},
    "prune-notifications": {"task": "fleet.prune_notifications", "schedule": timedelta(hours=6)},
    "keep-rollups": {"task": "fleet.keep_rollups", "schedule": timedelta(seconds=15)},
    "prune-rollups": {"task": "fleet.prune_rollups", "schedule": timedelta(hours=1)},
    "send-invitations": {"task": "fleet.send_invitations", "schedule": timedelta(minutes=1)},
    "forget-page-sessions": {"task": "fleet.forget_sessions", "schedule": timedelta(hours=12)},
    "prune-statuses": {"task": "devices.prune_statuses", "schedule": timedelta(hours=6)},
    "sweep-releases": {"task": "devices.sweep_releases", "schedule": timedelta(hours=6)},
    "sweep-reports": {"task": "fleet.sweep_reports", "schedule": timedelta(seconds=5)},
    "expire-reports": {"task": "fleet.expire_reports", "schedule": timedelta(minutes=10)},
    "keep-private": {"task": "fleet.keep_private", "schedule": timedelta(minutes=1)},
    "keep-retention": {"task": "fleet.keep_retention", "schedule": timedelta(hours=6)},
    "sweep-wishes": {"task": "fleet.sweep_wishes", "schedule": timedelta(minutes=1)},
    "expire-footage": {"task": "fleet.expire_footage", "schedule": timedelta(hours=1)},
}
