"""Daphne with back pressure: a browser that does not read must not fill this process's memory.

Plain daphne accepts every message for a socket and buffers without bound. Here `send` waits while the
transport's buffer is full, as it does under uvicorn.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from daphne.server import Server  # before twisted: it chooses the reactor
from twisted.internet import reactor
from twisted.internet.interfaces import IPushProducer
from twisted.internet.threads import deferToThread
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
    def before_shutdown(self, finish: Callable[[], None]) -> None:
        """Run this in a thread when a signal asks to stop; the server goes on serving until it returns."""
        chosen: Any = reactor  # its type is an interface, whose methods mypy takes for unbound
        chosen.addSystemEventTrigger("before", "shutdown", lambda: deferToThread(finish))

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        valve: _Valve | None = getattr(protocol, "valve", None)
        if valve is not None and message["type"] == "websocket.send":
            await valve.open.wait()
        await super().handle_reply(protocol, message)
        if message["type"] == "websocket.accept":
            protocol.valve = _Valve()
            # The HTTP channel this socket grew out of is registered still; nothing of it is left to pause.
            protocol.transport.unregisterProducer()
            protocol.transport.registerProducer(protocol.valve, True)
