"""Limits of scenario footage."""

from dataclasses import dataclass
from datetime import timedelta

import environ

_MB = 1_000_000


@dataclass(frozen=True)
class FootageLimits:
    """Sizes in bytes; 0 days and 0 bytes mean without limit."""

    days: int
    file_bytes: int
    fleet_bytes: int
    upload_lives: timedelta


def limits(env: environ.Env) -> FootageLimits:
    return FootageLimits(
        days=env.int("FOOTAGE_DAYS", default=90),
        file_bytes=env.int("FOOTAGE_FILE_LIMIT_MB", default=4096) * _MB,
        fleet_bytes=env.int("FOOTAGE_FLEET_LIMIT_MB", default=512_000) * _MB,
        upload_lives=timedelta(days=env.int("FOOTAGE_UPLOAD_DAYS", default=7)),
    )
