"""Push to browsers: after a commit, one message per fleet. A hint that may be lost; pages are right without it."""

import asyncio
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

import orjson
from channels.layers import BaseChannelLayer, get_channel_layer

from fleet.models.vehicles import motion_of
from telemetry.frames import from_us
from telemetry.vehicle_state import Update

log = logging.getLogger(__name__)


class LiveMessage(TypedDict):
    """What travels through the channel layer: per vehicle the `data` of a telemetry message, encoded once."""

    type: str
    fleet: int
    vehicles: dict[str, str]


class LogMessage(TypedDict):
    type: str
    fleet: int
    text: str


def channel_layer() -> BaseChannelLayer:
    layer = get_channel_layer()
    assert layer is not None, "CHANNEL_LAYERS has no default"
    return layer


def group(fleet_id: int) -> str:
    return f"fleet.{fleet_id}"


def publish(updates: Sequence[Update]) -> None:
    """The newest state of every vehicle that changed. Never raises: the data is committed already."""
    fleets: dict[int, dict[str, str]] = defaultdict(dict)
    for update in updates:
        if update.is_newest:
            fleets[update.fleet_id][str(update.vehicle_id)] = orjson.dumps(describe(update)).decode()
    for fleet, vehicles in fleets.items():
        _pusher.push(group(fleet), LiveMessage(type="live.telemetry", fleet=fleet, vehicles=vehicles))


def publish_log(fleet_id: int, text: str, level: str = "info") -> None:
    """A line for the `log` messages of everybody who watches this fleet."""
    content = {"type": "log", "log_type": level, "message": text, "timestamp": datetime.now(UTC).timestamp()}
    line = orjson.dumps(content).decode()
    _pusher.push(group(fleet_id), LogMessage(type="live.log", fleet=fleet_id, text=line))


class _Pusher:
    """One loop in one thread per process, so that the layer keeps its connection and nobody waits for it."""

    _BACKLOG = 1_000

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._messages: deque[tuple[str, Any]] = deque(maxlen=self._BACKLOG)
        self._loop: asyncio.AbstractEventLoop
        self._ready: asyncio.Event

    def push(self, name: str, message: Any) -> None:
        self._messages.append((name, message))
        with self._starting:
            if self._thread is None or not self._thread.is_alive():  # first use, or first after a fork
                started = threading.Event()
                self._thread = threading.Thread(target=self._run, args=(started,), name="live", daemon=True)
                self._thread.start()
                started.wait()
        self._loop.call_soon_threadsafe(self._ready.set)

    def _run(self, started: threading.Event) -> None:
        asyncio.run(self._send_for_ever(started))

    async def _send_for_ever(self, started: threading.Event) -> None:
        self._loop, self._ready = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        layer = channel_layer()
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._messages:
                name, message = self._messages.popleft()
                try:
                    await layer.group_send(name, message)
                except Exception:
                    log.warning("live push failed; pages catch up by themselves", exc_info=True)


_pusher = _Pusher()


def describe(update: Update) -> dict[str, Any]:
    """The `data` object of a telemetry message: the document's names, plus ours."""
    return {
        "vehicle_vin": update.vin,
        "vehicle": update.slug,
        "vehicle_id": update.vehicle_id,
        "timestamp": update.time_us / 1e6,
        **update.values,
        "reconstructed": update.reconstructed,
        "quality": update.quality,
        "motion": motion_of(update.values, from_us(update.received_us), datetime.now(UTC)).value,
    }
