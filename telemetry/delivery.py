"""Commands over a device's own socket: delivered as they are queued, acknowledged on the same way back."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import orjson
from channels.db import database_sync_to_async

from devices import commands
from devices.commands import RefusedError
from devices.kinds import NonsenseError
from devices.models import Command, Path

log = logging.getLogger(__name__)
LOOK_EVERY_S = 30.0
"""A hint may be lost; then a command waits this long, or goes another way."""


class Delivery:
    """One socket's deliveries. One command at a time, so that a socket that is stuck holds one and no more."""

    def __init__(self, device_id: int, send: Callable[[str], Awaitable[None]]) -> None:
        self.device_id = device_id
        self.wake = asyncio.Event()
        self._send = send

    async def deliver_for_ever(self) -> None:
        while True:
            self.wake.clear()
            try:
                taken = await database_sync_to_async(commands.take)(self.device_id, Path.SOCKET, 1)
            except Exception:  # the database is away: what is queued stays queued
                log.warning("no commands for a socket", exc_info=True)
                taken = []
            for command in taken:
                await self._send(_json({"type": "command", "data": commands.as_json(command)}))
            if not taken:
                await self._rest()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), LOOK_EVERY_S)


def acknowledged(device_id: int, message: dict[str, Any]) -> str:
    """The reply to `{"type": "command_ack", "id", "success", "message"}`: what is kept, or what is wrong."""
    success, text = message.get("success"), message.get("message") or ""
    if not isinstance(success, bool) or not isinstance(text, str) or "\x00" in text:
        return _refused(message, "`success` must be true or false, `message` text.")
    rest = {
        name: value for name, value in message.items() if name not in {"type", "id", "success", "message"}
    }
    try:
        kept = commands.acknowledge(device_id, UUID(str(message.get("id"))), success, text, rest)
    except (ValueError, Command.DoesNotExist):
        return _refused(message, "This device has no such command.")
    except (RefusedError, NonsenseError) as wrong:
        return _refused(message, str(wrong))
    state = kept.shown_state
    return _json(
        {
            "type": "command_ack",
            "data": {"id": str(kept.public_id), "state": state.value, "message": kept.message},
        }
    )


def _refused(message: dict[str, Any], reason: str) -> str:
    key = str(message.get("id"))[:40]
    return _json({"type": "command_ack", "data": {"id": key, "error": reason}})


def _json(content: dict[str, Any]) -> str:
    return orjson.dumps(content).decode()
