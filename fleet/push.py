"""Messages to whoever listens on the channel layer: after a commit, from any thread. Hints that may be lost."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

from channels.layers import BaseChannelLayer, get_channel_layer
from django.db import transaction

log = logging.getLogger(__name__)


def channel_layer() -> BaseChannelLayer:
    layer = get_channel_layer()
    assert layer is not None, "CHANNEL_LAYERS has no default"
    return layer


def group(fleet_id: int) -> str:
    """Everybody who watches this fleet."""
    return f"fleet.{fleet_id}"


def device_group(device_id: int) -> str:
    """The sockets of one device."""
    return f"device.{device_id}"


def person_group(user_id: int) -> str:
    """The sockets of one person."""
    return f"person.{user_id}"


def access_changed(user_id: int) -> None:
    """After the commit: this person's sockets close, and are opened again with what is allowed then."""
    transaction.on_commit(lambda: push(person_group(user_id), {"type": "access.changed"}))


def hide(fleet_id: int, vehicles: Iterable[int]) -> None:
    """Pages that are open take these vehicles off their maps: where they are is nobody's business."""
    push(group(fleet_id), {"type": "live.private", "fleet": fleet_id, "vehicles": sorted(vehicles)})


def push(name: str, message: Any) -> None:
    """Returns at once and never raises: what the message tells of is committed already."""
    _pusher.push(name, message)


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
