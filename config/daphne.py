"""Daphne with back pressure: a browser that does not read must not fill this process's memory.

Plain daphne accepts every message for a socket and buffers without bound. Here `send` waits while the
transport's buffer is full, as it does under uvicorn.
"""

import asyncio
from typing import Any

from daphne.server import Server
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class _Valve:
    """Twisted tells a producer when to pause (64 KiB unsent) and when to go on."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    def pauseProducing(self) -> None:
        self.open.clear()

    def resumeProducing(self) -> None:
        self.open.set()

    def stopProducing(self) -> None:
        self.open.set()


class PatientServer(Server):  # type: ignore[misc]
    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        valve: _Valve | None = getattr(protocol, "valve", None)
        if valve is not None and message["type"] == "websocket.send":
            await valve.open.wait()
        await super().handle_reply(protocol, message)
        if message["type"] == "websocket.accept":
            protocol.valve = _Valve()
            protocol.transport.registerProducer(protocol.valve, True)
