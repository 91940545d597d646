"""The WebSocket `/ws`: history on connect, then live telemetry, log lines and compression statistics.

Access is fixed here, at connect: a person watches their fleets, a device its own vehicle. When it changes the socket is
closed: at once when the channel layer brings the news, else within ACCESS_CHECK_S. Whoever may still look comes again.
"""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from devices.auth import resolve, resolve_again, token_in
from fleet.access import Principal, person, visible_fleets
from fleet.audit import Actor
from fleet.models import Vehicle
from fleet.people.sessions import user_of
from fleet.push import device_group, person_group
from telemetry import compression, history, logger
from telemetry.delivery import Delivery, acknowledged
from telemetry.hub import View, Watcher, hub

log = logging.getLogger(__name__)
STATS_EVERY_S = 5.0
ACCESS_CHECK_S = 60.0
MESSAGE_LIMIT = 4096
NO_ACCESS = 4401
ACCESS_CHANGED = 4402


class LiveConsumer(AsyncWebsocketConsumer):
    """Query: `token` (devices without headers), `vehicle` (one only), `batch=1`, `view=map` or `hints` (hub.View)."""

    principal: Principal
    watcher: Watcher
    tasks: list["asyncio.Task[None]"]
    delivery: Delivery | None

    async def connect(self) -> None:
        self.tasks = []
        self.delivery = None
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        principal = await self._principal(query)
        await self.accept()
        if principal is None:
            await self.close(NO_ACCESS, "log in, or send a device token")
            return
        self.principal, self.query = principal, query
        if principal.user_id is not None:
            await self.channel_layer.group_add(person_group(principal.user_id), self.channel_name)
        self.vehicle = query.get("vehicle", [""])[0]
        vehicles, fleets = await database_sync_to_async(_watched)(principal, self.vehicle)
        one = self.vehicle or principal.vehicle_id is not None
        self.watcher = Watcher(
            send=self._send_text,
            fleets=frozenset(fleets),
            only=frozenset(str(v.pk) for v in vehicles) if one else None,
            view=_view(query),
        )
        # Joining comes before reading history: a record in between is sent twice rather than not at all.
        await hub().join(self.watcher)
        hints = self.watcher.view is View.HINTS
        first = [] if hints else await database_sync_to_async(history.newest)(vehicles)
        await self.send(text_data=_json({"type": "history", "data": first}))
        self.tasks = [
            asyncio.create_task(self.watcher.write_for_ever()),
            asyncio.create_task(self._watch_access()),
        ]
        if not hints:
            self.tasks.append(asyncio.create_task(self._tell_statistics()))
        if self._takes_commands() and query.get("commands") != ["0"]:
            await self._begin_to_deliver(principal.device_id or 0)

    async def disconnect(self, code: int) -> None:
        for task in self.tasks:
            task.cancel()
        if hasattr(self, "watcher"):
            await hub().leave(self.watcher)
        if hasattr(self, "principal") and self.principal.user_id is not None:
            await self.channel_layer.group_discard(person_group(self.principal.user_id), self.channel_name)
        if self.delivery is not None:
            await self.channel_layer.group_discard(device_group(self.delivery.device_id), self.channel_name)

    async def command_queued(self, event: dict[str, Any]) -> None:
        """A hint through the channel layer."""
        if self.delivery is not None:
            self.delivery.wake.set()

    async def access_changed(self, event: dict[str, Any]) -> None:
        """A hint through the channel layer: look at once."""
        await self._close_if_changed()

    async def _watch_access(self) -> None:
        """Hints may be lost."""
        while True:
            await asyncio.sleep(ACCESS_CHECK_S)
            try:
                await self._close_if_changed()
            except Exception:  # the database is away: so is everything that could be told
                log.warning("access could not be checked again", exc_info=True)

    async def _close_if_changed(self) -> None:
        now = await self._principal(self.query, again=True)
        if now != self.principal:
            await self.close(NO_ACCESS if now is None else ACCESS_CHANGED, "access changed")

    async def _begin_to_deliver(self, device_id: int) -> None:
        self.delivery = Delivery(device_id, self._send_text)
        await self.channel_layer.group_add(device_group(device_id), self.channel_name)
        self.tasks.append(asyncio.create_task(self.delivery.deliver_for_ever()))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not hasattr(self, "watcher"):
            return
        try:
            message = orjson.loads((text_data or "")[:MESSAGE_LIMIT])
            kind = message["type"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            self.watcher.tell(_log("send a JSON object with a type", "error"))
            return
        if kind in ("start_logger", "stop_logger"):  # a tuple: what a client calls a type may not be hashable
            command = logger.start if kind == "start_logger" else logger.stop
            reply = await database_sync_to_async(command)(
                self._actor(), self.principal, message.get("vehicle")
            )
            if not reply.told:
                self.watcher.tell(_log(reply.message, "info" if reply.done else "error"))
        elif kind == "command_ack" and self._takes_commands():
            text = await database_sync_to_async(acknowledged)(self.principal.device_id or 0, message)
            self.watcher.tell(text)
        elif kind == "history":
            await self._send_missed(message)
        else:
            self.watcher.tell(_log(f"unknown message type {str(kind)[:40]!r}", "error"))

    async def _send_missed(self, message: dict[str, Any]) -> None:
        """`{"type": "history", "since": T}`: what a client missed while it was away, by event time."""
        try:
            moment = datetime.fromtimestamp(float(message["since"]), UTC)
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            self.watcher.tell(_log("history needs `since` in Unix seconds", "error"))
            return
        missed = await database_sync_to_async(_missed)(self.principal, self.vehicle, moment)
        more = len(missed) == history.PAGE
        self.watcher.tell(_json({"type": "history", "since": message["since"], "data": missed, "more": more}))

    def _takes_commands(self) -> bool:
        return self.principal.device_id is not None and self.principal.may("commands")

    def _actor(self) -> Actor:
        user: Any = self.scope.get("user")
        address = (self.scope.get("client") or [None])[0]
        return Actor(self.principal.name, user if self.principal.user_id else None, address)

    async def _principal(self, query: dict[str, list[str]], again: bool = False) -> Principal | None:
        user = self.scope.get("user")
        if user is not None and user.is_authenticated:
            key = self.scope["session"].session_key if again else None
            return await database_sync_to_async(_person)(user, key)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.scope["headers"]}
        text = token_in(headers) or query.get("token", [""])[0]
        ask = resolve_again if again else resolve
        return await database_sync_to_async(ask)(text) if text else None

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)

    async def _tell_statistics(self) -> None:
        """Compression so far, whenever it changed."""
        before: dict[str, Any] = {}
        while True:
            try:
                totals = await database_sync_to_async(compression.totals)(self.principal)
            except Exception:  # database or cache are away: so are the numbers, for a while
                log.warning("no compression statistics", exc_info=True)
                totals = before
            if totals != before:
                before = totals
                self.watcher.tell(_json({"type": "compression_stats", "data": totals}))
            await asyncio.sleep(STATS_EVERY_S)


def _person(user: Any, session_key: str | None) -> Principal | None:
    """With a session's key: whom it lets in now."""
    found = user_of(session_key) if session_key else user
    return person(found) if found is not None else None


class NothingHere(AsyncWebsocketConsumer):
    """Any other path: refused before the handshake, as HTTP 403."""

    async def connect(self) -> None:
        await self.close()


def _view(query: dict[str, list[str]]) -> View:
    named = {"map": View.MAP, "hints": View.HINTS}
    if (name := query.get("view", [""])[0]) in named:
        return named[name]
    return View.BATCHES if query.get("batch") == ["1"] else View.RECORDS


def _watched(principal: Principal, name: str) -> tuple[list[Vehicle], list[int]]:
    vehicles = Vehicle.objects.visible_to(principal)
    if name:
        vehicles = vehicles.named(name)
    fleets = visible_fleets(principal).values_list("id", flat=True)
    return list(vehicles.order_by("id")), list(fleets)


def _missed(principal: Principal, name: str, moment: datetime) -> list[dict[str, Any]]:
    return history.since(_watched(principal, name)[0], moment)


def _json(content: dict[str, Any]) -> str:
    return orjson.dumps(content).decode()


def _log(text: str, level: str) -> str:
    now = datetime.now(UTC).timestamp()
    return _json({"type": "log", "log_type": level, "message": text, "timestamp": now})
