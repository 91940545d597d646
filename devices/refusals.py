"""Why a device was last turned away: kept for an hour in the cache, so that the page where somebody waits for its first
record can say what is wrong. A hint for people: it may be lost, and nothing depends on it."""

import logging
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.cache import cache

from devices.models import TOKEN_MARK

log = logging.getLogger(__name__)
KEPT_S = 3600
_AT_MOST_EVERY_S = 1.0
_REMEMBERED = 10_000
_PREFIX = re.compile(rf"{TOKEN_MARK}_([0-9a-f]{{8}})(?:_|\Z)")
_noted: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Refusal:
    at: datetime
    status: int
    reason: str


def note(device_id: int, status: int, reason: str) -> None:
    """Its token was good, what it sent was not. At most once a second and device."""
    _keep(f"refusal:{device_id}", status, reason)


def note_token(text: str) -> None:
    """A token that is not good: by its visible beginning, which a cut or an old one has in common with ours."""
    if found := _PREFIX.match(text):
        _keep(f"refused-token:{found[1]}", 401, "The token is unknown, expired or revoked.")


def newest(device_id: int) -> Refusal | None:
    return _read([f"refusal:{device_id}"])


def newest_of_tokens(prefixes: list[str]) -> Refusal | None:
    """A refused token that begins like one of these."""
    return _read([f"refused-token:{prefix}" for prefix in prefixes])


def forget() -> None:
    """As a process that has just started."""
    _noted.clear()


def _keep(key: str, status: int, reason: str) -> None:
    now = time.monotonic()
    if now - _noted.get(key, -_AT_MOST_EVERY_S) < _AT_MOST_EVERY_S:
        return
    if len(_noted) >= _REMEMBERED:
        _noted.clear()
    _noted[key] = now
    try:
        cache.set(key, (time.time(), status, reason[:300]), KEPT_S)
    except Exception:  # the cache is away; the device is refused all the same
        log.debug("a refusal was not noted", exc_info=True)


def _read(keys: list[str]) -> Refusal | None:
    try:
        found = cache.get_many(keys) if keys else {}
    except Exception:
        log.debug("refusals cannot be read", exc_info=True)
        return None
    rows = [Refusal(datetime.fromtimestamp(at, UTC), status, reason) for at, status, reason in found.values()]
    return max(rows, key=lambda row: row.at, default=None)
