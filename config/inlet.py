"""Long requests under daphne, passed on while they arrive.

Plain daphne starts the application when a body is complete, then puts all of it into memory; what breaks off is lost.
Here a request longer than AT_ONCE reaches the application with its headers, its body follows as it comes, and the
client is slowed down when the application does not keep up.
"""

import asyncio
from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest

AT_ONCE = 256 * 1024
_HIGH, _LOW = 1024 * 1024, 256 * 1024
_LINGER = 8 * 1024 * 1024
"""Still read of a body after its answer, which closing at once would lose. Who goes on for longer does not listen."""


class Inlet:
    """The application's end of a body that is still coming; daphne takes it for the application's queue."""

    def __init__(self, network: Any) -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._network = network
        self._unread = 0
        self._paused = self._dropping = False

    def put_nowait(self, message: dict[str, Any]) -> None:
        """From daphne: the body it believes to have (nothing yet), later the disconnect."""
        if message["type"] != "http.request":
            self._messages.put_nowait(message)

    def feed(self, body: bytes, more: bool) -> None:
        if self._dropping:
            return
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": more})
        self._unread += len(body)
        if self._unread > _HIGH and not self._paused:
            self._paused = True
            self._network.pauseProducing()

    async def receive(self) -> dict[str, Any]:
        message = await self._messages.get()
        self._unread -= len(message.get("body", b""))
        if self._unread < _LOW:
            self._resume()
        return message

    def drop(self) -> None:
        """The application has answered: the rest of the body is of no interest."""
        self._dropping = True
        self._resume()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._network.resumeProducing()


class StreamedRequest(WebRequest):  # type: ignore[misc]
    inlet: Inlet | None = None
    valve: Any = None
    _complete = True
    _finish_later = False
    _dropped = 0

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        channel = self.channel
        short = length is not None and length <= AT_ONCE
        if short or channel._command not in {b"POST", b"PUT", b"PATCH"}:
            return
        self.inlet = Inlet(channel._networkProducer)
        self._complete = False
        # What Twisted sets when the body is complete.
        self.method, self.uri, self.clientproto = channel._command, channel._path, channel._version
        self.path = self.uri.partition(b"?")[0]
        self.args: dict[bytes, list[bytes]] = {}
        self.process()

    def handleContentChunk(self, data: bytes) -> None:
        if self.inlet is None:
            super().handleContentChunk(data)
            return
        self.inlet.feed(data, True)
        if self._finish_later:
            self._dropped += len(data)
            if self._dropped > _LINGER:
                self.channel.loseConnection()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self.inlet is None:
            super().requestReceived(command, path, version)
            return
        self._complete = True
        self.inlet.feed(b"", False)
        if self._finish_later:
            super().finish()

    def finish(self) -> None:
        """Not before the body is over: what follows would be read as the next request."""
        if self._complete:
            super().finish()
        else:
            self._finish_later = True
            assert self.inlet is not None
            self.inlet.drop()

    def connectionLost(self, reason: Any) -> None:
        if self.valve is not None:
            self.valve.resumeProducing()
        super().connectionLost(reason)


class StreamedFactory(HTTPFactory):  # type: ignore[misc]
    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = StreamedRequest
        return protocol
