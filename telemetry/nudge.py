"""Tells the workers that a shard has something to do: seldom, and never in vain.

A flag per shard in the shared cache means "a drain is queued or running". The drain lowers it before its last
look at the inbox, so a record committed while it was up is always seen. A lost flag or task costs at most the
sweep's period.
"""

import logging
import threading
import time
from collections.abc import Iterable

from django.conf import settings
from django.core.cache import cache

log = logging.getLogger(__name__)
_FLAG_S = 10
_PAUSE_S = 0.02


class _Nudger(threading.Thread):
    """One thread per process: many commits become few looks at the cache."""

    def __init__(self) -> None:
        super().__init__(name="nudge", daemon=True)
        self.shards: set[int] = set()
        self.lock = threading.Lock()
        self.ready = threading.Event()

    def add(self, shards: set[int]) -> None:
        with self.lock:
            self.shards |= shards
        self.ready.set()

    def run(self) -> None:
        while True:
            self.ready.wait()
            self.ready.clear()
            with self.lock:
                shards, self.shards = self.shards, set()
            for shard in shards:
                send(shard)
            time.sleep(_PAUSE_S)


_nudger: _Nudger | None = None
_starting = threading.Lock()


def dirty(vehicle_ids: Iterable[int]) -> None:
    """These vehicles have records in the inbox. Call after the commit; returns at once."""
    global _nudger  # noqa: PLW0603 - one thread per process, started by its first use (and after a fork)
    shards = {vehicle % settings.DRAIN_SHARDS for vehicle in vehicle_ids}
    if not shards:
        return
    with _starting:
        if _nudger is None or not _nudger.is_alive():
            _nudger = _Nudger()
            _nudger.start()
    _nudger.add(shards)


def derive(vehicle_ids: Iterable[int]) -> None:
    """These vehicles were touched. Call after the commit."""
    for shard in {vehicle % settings.DRAIN_SHARDS for vehicle in vehicle_ids}:
        send(shard, "derive")


def send(shard: int, task: str = "drain") -> None:
    """Queue a drain of the shard (or a `derive`) unless one is queued or running."""
    from telemetry import tasks

    try:
        if cache.add(_flag(shard, task), 1, _FLAG_S):
            getattr(tasks, task).delay(shard)
    except Exception:  # a broker or cache that is down must not disturb ingest: the sweep comes
        log.warning("could not queue a %s of shard %s; the sweep will", task, shard, exc_info=True)


def lower(shard: int, task: str = "drain") -> None:
    cache.delete(_flag(shard, task))


def keep_up(shard: int, task: str = "drain") -> None:
    cache.set(_flag(shard, task), 1, _FLAG_S)


def _flag(shard: int, task: str) -> str:
    return f"telemetry-{task}-{shard}"
