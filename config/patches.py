"""Long PATCHes of resumable uploads, handed to Django a piece at a time while they arrive.

Django sees a request when its body is complete; a body that breaks off is lost to it, however much had arrived. Here
every piece is a request of its own for Django, with its own offset, durable before the next is read: a cut loses what
the socket held, and a gigabyte in one PATCH needs no more memory or spool than a piece.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PIECE_BYTES = 4 * 1024 * 1024
_TYPE = b"application/offset+octet-stream"
_REPLACED = {b"upload-offset", b"content-length", b"transfer-encoding", b"expect"}


class PiecewisePatches:
    """ASGI middleware: takes PATCHes of that type, passes everything else on."""

    def __init__(self, inner: App) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "PATCH":
            await self.inner(scope, receive, send)
            return
        headers = dict(scope["headers"])
        offset = headers.get(b"upload-offset", b"")
        # A checksum is of the whole body: such a PATCH is kept whole or not at all, which is for Django.
        if headers.get(b"content-type") != _TYPE or not offset.isdigit() or b"upload-checksum" in headers:
            await self.inner(scope, receive, send)
            return
        await self._go(scope, receive, send, int(offset))

    async def _go(self, scope: Scope, receive: Receive, send: Send, offset: int) -> None:
        more, gone, first = True, False, True
        while more:
            piece, more, gone = await _piece(receive)
            if gone and not piece:
                return
            if not (piece or first):  # the body ended where a piece did
                break
            first = False
            answer = await self._hand_over(scope, piece, offset)
            offset += len(piece)
            if answer[0]["status"] != 204:
                break
        if not gone:
            for message in answer:
                await send(message)

    async def _hand_over(self, scope: Scope, piece: bytes, offset: int) -> list[Message]:
        kept = [(name, value) for name, value in scope["headers"] if name not in _REPLACED]
        headers = [*kept, (b"upload-offset", b"%d" % offset), (b"content-length", b"%d" % len(piece))]
        waiting: list[Message] = [{"type": "http.request", "body": piece, "more_body": False}]
        answer: list[Message] = []

        async def receive() -> Message:
            if waiting:
                return waiting.pop()
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

        async def send(message: Message) -> None:
            answer.append(message)

        await self.inner({**scope, "headers": headers}, receive, send)
        return answer


async def _piece(receive: Receive) -> tuple[bytes, bool, bool]:
    """The next bytes of the body; whether there may be more; whether the client has gone."""
    piece = bytearray()
    while len(piece) < PIECE_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(piece), False, True
        piece += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(piece), False, False
    return bytes(piece), True, False
