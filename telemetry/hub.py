"""Fan-out inside one process: one subscription per fleet, each payload encoded once, every socket on its own.

A socket that does not keep up gets the newest state of each vehicle when it reads again; it never holds up
the others, and what is kept for it is bounded by the number of vehicles.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from weakref import WeakKeyDictionary

from telemetry.live import POSITION, Forms, channel_layer, group

log = logging.getLogger(__name__)
VEHICLE_PERIOD_S = 0.25
"""A vehicle reaches a browser at most this often; the newest value wins."""
TICK_S = 0.03
"""A socket gets at most one message of positions or records in this time: each costs the same, however short."""
QUEUE_LIMIT = 16
ALERTS_CHANGED = '{"type":"alerts_changed"}'


class View(Enum):
    """What a socket is told of a vehicle."""

    RECORDS = "one `telemetry` message a record, as the document has it"
    BATCHES = "the same, many in a `telemetry_batch`"
    MAP = "`positions`: what a map shows"
    HINTS = "no telemetry: only that there is something to ask for again"


_POSITIONS = '{"type":"positions","fields":' + json.dumps(POSITION) + ',"data":['


class Burst:
    """One tick's news of one fleet, by vehicle. Encoded once for all sockets that look at it the same way."""

    def __init__(self, parts: dict[str, Forms]) -> None:
        self.parts = parts
        self._texts: dict[View, list[str]] = {}

    def texts(self, view: View) -> list[str]:
        """The messages to send."""
        if view not in self._texts:
            self._texts[view] = self._encoded(view)
        return self._texts[view]

    def _encoded(self, view: View) -> list[str]:
        if view is View.MAP:
            return [_POSITIONS + ",".join([row for _, row in self.parts.values()]) + "]}"]
        if view is View.BATCHES:
            return [
                '{"type":"telemetry_batch","data":['
                + ",".join([data for data, _ in self.parts.values()])
                + "]}"
            ]
        return [f'{{"type":"telemetry","data":{data}}}' for data, _ in self.parts.values()]


@dataclass(eq=False, slots=True)
class Watcher:
    """One socket. `send` may block for as long as the client does not read."""

    send: Callable[[str], Awaitable[None]]
    fleets: frozenset[int]
    only: frozenset[str] | None = None
    """Vehicle ids to pass on; None: all of the fleets."""
    view: View = View.RECORDS
    queue: deque[Burst | str] = field(default_factory=deque)
    behind: dict[str, Forms] | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, burst: Burst) -> None:
        if self.view is View.HINTS:
            return
        if self.only is not None:
            parts = {vehicle: data for vehicle, data in burst.parts.items() if vehicle in self.only}
            if not parts:
                return
            burst = Burst(parts)
        if self.behind is None and len(self.queue) < QUEUE_LIMIT:
            self.queue.append(burst)
        else:
            self._fall_behind(burst)
        self.ready.set()

    def _fall_behind(self, burst: Burst) -> None:
        """Fold everything unsent into one value per vehicle."""
        newest = self.behind or {}
        for item in self.queue:
            if isinstance(item, Burst):
                newest.update(item.parts)
        newest.update(burst.parts)
        self.queue = deque(item for item in self.queue if isinstance(item, str))
        self.behind = newest

    def tell(self, text: str) -> None:
        """A message of another kind; when the client is stuck, the oldest of them go."""
        if len(self.queue) >= 2 * QUEUE_LIMIT:
            self.queue.remove(next(item for item in self.queue if isinstance(item, str)))
        self.queue.append(text)
        self.ready.set()

    def tell_log(self, text: str) -> None:
        if self.view is not View.HINTS:
            self.tell(text)

    def tell_of_commands(self, vehicles: list[int]) -> None:
        """To our own pages: that commands of these vehicles changed, not how. Who may see them asks."""
        watched = [vehicle for vehicle in vehicles if self.only is None or str(vehicle) in self.only]
        if watched and self.view in {View.BATCHES, View.HINTS}:
            self.tell(json.dumps({"type": "commands_changed", "data": {"vehicle_ids": watched}}))

    def tell_of_private(self, vehicles: list[int]) -> None:
        """To our own maps: forget where these are."""
        watched = [vehicle for vehicle in vehicles if self.only is None or str(vehicle) in self.only]
        text = json.dumps({"type": "private", "data": {"vehicle_ids": watched}})
        if watched and self.view in {View.BATCHES, View.MAP} and text not in self.queue:
            self.tell(text)

    def tell_of_alerts(self) -> None:
        """To our own pages: that an alert of their fleets changed. Which they may see they ask for."""
        if self.view is not View.RECORDS and ALERTS_CHANGED not in self.queue:
            self.tell(ALERTS_CHANGED)

    async def write_for_ever(self) -> None:
        """The socket's own task."""
        while True:
            await self.ready.wait()
            self.ready.clear()
            while self.queue or self.behind is not None:
                item: Burst | str
                if self.queue:
                    item = self.queue.popleft()
                else:
                    item, self.behind = Burst(self.behind or {}), None
                if isinstance(item, str):
                    await self.send(item)
                else:
                    for text in item.texts(self.view):
                        await self.send(text)


# Messages other than telemetry, and what each socket makes of them.
_HINTS: dict[str, Callable[[Watcher, dict[str, Any]], None]] = {
    "live.log": lambda watcher, message: watcher.tell_log(message["text"]),
    "live.commands": lambda watcher, message: watcher.tell_of_commands(message["vehicles"]),
    "live.private": lambda watcher, message: watcher.tell_of_private(message["vehicles"]),
    "live.alerts": lambda watcher, message: watcher.tell_of_alerts(),
}


class Hub:
    """All sockets of one process (one event loop)."""

    def __init__(self) -> None:
        self.layer = channel_layer()
        self.watchers: dict[int, set[Watcher]] = {}
        self.pending: dict[int, dict[str, Forms]] = {}
        self.sent_at: dict[str, float] = {}
        self.flushed_at = 0.0
        self.channel = ""
        self.task: asyncio.Task[None] | None = None
        self.ticking: asyncio.Task[None] | None = None

    @property
    def sockets(self) -> int:
        return len({watcher for watchers in self.watchers.values() for watcher in watchers})

    async def join(self, watcher: Watcher) -> None:
        if self.task is None or self.task.done():
            self.channel = await self.layer.new_channel()
            self.task = asyncio.create_task(self._receive_for_ever())
            for fleet in self.watchers:
                await self.layer.group_add(group(fleet), self.channel)
        for fleet in watcher.fleets:
            if fleet not in self.watchers:
                self.watchers[fleet] = set()
                await self.layer.group_add(group(fleet), self.channel)
            self.watchers[fleet].add(watcher)

    async def leave(self, watcher: Watcher) -> None:
        for fleet in watcher.fleets:
            watchers = self.watchers.get(fleet, set())
            watchers.discard(watcher)
            if not watchers and self.watchers.pop(fleet, None) is not None:
                self.pending.pop(fleet, None)
                await self.layer.group_discard(group(fleet), self.channel)

    async def _receive_for_ever(self) -> None:
        while True:
            try:
                message = await self.layer.receive(self.channel)
            except asyncio.CancelledError:
                raise
            except Exception:
                log.warning("live subscription interrupted", exc_info=True)
                await asyncio.sleep(1)
                continue
            self.take(message)

    def take(self, message: dict[str, Any]) -> None:
        fleet = message["fleet"]
        if fleet not in self.watchers:
            return
        if message["type"] in _HINTS:
            for watcher in self.watchers[fleet]:
                _HINTS[message["type"]](watcher, message)
            return
        self.pending.setdefault(fleet, {}).update(message["vehicles"])
        if time.monotonic() - self.flushed_at >= TICK_S:
            self._flush()
        if self.pending and (self.ticking is None or self.ticking.done()):
            self.ticking = asyncio.create_task(self._tick_while_pending())

    async def _tick_while_pending(self) -> None:
        while self.pending:
            await asyncio.sleep(TICK_S)
            self._flush()

    def _flush(self) -> None:
        """Send what is due; a vehicle heard of less than VEHICLE_PERIOD_S ago waits for a later tick."""
        now = self.flushed_at = time.monotonic()
        due = now - VEHICLE_PERIOD_S
        for fleet, vehicles in list(self.pending.items()):
            parts = {v: data for v, data in vehicles.items() if self.sent_at.get(v, 0.0) <= due}
            if not parts:
                continue
            for vehicle in parts:
                self.sent_at[vehicle] = now
                del vehicles[vehicle]
            if not vehicles:
                del self.pending[fleet]
            _offer(self.watchers.get(fleet, ()), Burst(parts))


def _offer(watchers: Iterable[Watcher], burst: Burst) -> None:
    for watcher in watchers:
        watcher.offer(burst)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]


def sockets_of_process() -> int:
    """How many sockets this process serves, whatever loop they are on."""
    return sum(each.sockets for each in _hubs.values())
