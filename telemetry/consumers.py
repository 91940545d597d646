"""The WebSocket `/ws`: history on connect, then live telemetry, log lines and compression statistics.

Access is checked once, here, at connect: a person watches their fleets, a device its own vehicle.
"""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from devices.auth import token_in, tokens
from fleet.access import Principal, person, visible_fleets
from fleet.models import Vehicle
from telemetry import compression, history, logger
from telemetry.hub import Watcher, hub

log = logging.getLogger(__name__)
STATS_EVERY_S = 5.0
MESSAGE_LIMIT = 4096
NO_ACCESS = 4401


class LiveConsumer(AsyncWebsocketConsumer):
    """Query: `token` (devices without headers), `vehicle` (one only), `batch=1` (many records a message)."""

    principal: Principal
    watcher: Watcher
    tasks: list["asyncio.Task[None]"]

    async def connect(self) -> None:
        self.tasks = []
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        principal = await self._principal(query)
        await self.accept()
        if principal is None:
            await self.close(NO_ACCESS, "log in, or send a device token")
            return
        self.principal = principal
        self.vehicle = query.get("vehicle", [""])[0]
        vehicles, fleets = await database_sync_to_async(_watched)(principal, self.vehicle)
        one = self.vehicle or principal.vehicle_id is not None
        self.watcher = Watcher(
            send=self._send_text,
            fleets=frozenset(fleets),
            only=frozenset(str(v.pk) for v in vehicles) if one else None,
            batches=query.get("batch") == ["1"],
        )
        # Joining comes before reading history: a record in between is sent twice rather than not at all.
        await hub().join(self.watcher)
        first = await database_sync_to_async(history.newest)(vehicles)
        await self.send(text_data=_json({"type": "history", "data": first}))
        self.tasks = [
            asyncio.create_task(self.watcher.write_for_ever()),
            asyncio.create_task(self._tell_statistics()),
        ]

    async def disconnect(self, code: int) -> None:
        for task in self.tasks:
            task.cancel()
        if hasattr(self, "watcher"):
            await hub().leave(self.watcher)

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
            reply = await database_sync_to_async(command)(self.principal)
            self.watcher.tell(_log(reply.message, "info" if reply.done else "error"))
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

    async def _principal(self, query: dict[str, list[str]]) -> Principal | None:
        user = self.scope.get("user")
        if user is not None and user.is_authenticated:
            return await database_sync_to_async(person)(user)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.scope["headers"]}
        text = token_in(headers) or query.get("token", [""])[0]
        return await database_sync_to_async(tokens.resolve)(text) if text else None

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
