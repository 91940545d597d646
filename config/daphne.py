"""Daphne with back pressure: a client that does not read, or writes a lot, must not fill this process's memory.

Plain daphne accepts every message for a client and buffers without bound. Here `send` waits while the
transport's buffer is full, as it does under uvicorn; long requests are in `config/inlet.py`.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import daphne.server
from daphne.server import Server  # before twisted: it chooses the reactor
from twisted.internet import reactor
from twisted.internet.interfaces import IPushProducer
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from config.inlet import Inlet, StreamedFactory, StreamedRequest


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
    def __init__(self, application: Any, *arguments: Any, **options: Any) -> None:
        async def with_inlet(scope: Any, receive: Any, send: Any) -> None:
            inlet: Inlet | None = scope.pop("inlet", None)
            await application(scope, inlet.receive if inlet else receive, send)

        super().__init__(with_inlet, *arguments, **options)

    def run(self) -> None:
        daphne.server.HTTPFactory = StreamedFactory  # the one name that run() makes connections with
        super().run()

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        inlet = getattr(protocol, "inlet", None)
        if inlet is not None:
            scope["inlet"] = inlet
        queue = super().create_application(protocol, scope)
        return inlet if inlet is not None and queue is not None else queue

    def before_shutdown(self, finish: Callable[[], None]) -> None:
        """Run this in a thread when a signal asks to stop; the server goes on serving until it returns."""
        chosen: Any = reactor  # its type is an interface, whose methods mypy takes for unbound
        chosen.addSystemEventTrigger("before", "shutdown", lambda: deferToThread(finish))

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        valve: _Valve | None = getattr(protocol, "valve", None)
        if valve is not None and message["type"] == "websocket.send":
            await valve.open.wait()
        if message["type"] == "http.response.body" and isinstance(protocol, StreamedRequest):
            await _wait_for_reader(protocol, message.get("more_body", False))
        await super().handle_reply(protocol, message)
        if message["type"] == "websocket.accept":
            protocol.valve = _Valve()
            # A browser's socket comes on the connection of an HTTP request, whose producer is still there.
            protocol.transport.unregisterProducer()
            protocol.transport.registerProducer(protocol.valve, True)


async def _wait_for_reader(request: StreamedRequest, more: bool) -> None:
    """Of answers that come in parts: at most what the transport buffers is on its way."""
    if request.finished or request.channel is None:
        return
    if more and request.valve is None:
        request.valve = _Valve()
        request.registerProducer(request.valve, True)
    if request.valve is not None:
        await request.valve.open.wait()
    if not more and request.valve is not None and request.channel is not None:
        request.unregisterProducer()
