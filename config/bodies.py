"""Bodies that are too large are refused by what they announce, before they are read; those that announce nothing, when
they have grown too large. Django itself would first keep all of a body in a file.
"""

import orjson
from django.conf import settings

from config.patches import App, Message, Receive, Scope, Send
from fleet.api.problems import MEDIA_TYPE, content_of

_FORM_ALLOWANCE = 1024 * 1024
"""What the parts of a form need beside its file."""


class LimitedBodies:
    """ASGI middleware. Uploads that resume bring their own limit, checked where they were announced."""

    def __init__(self, inner: App) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        limit = _limit(headers.get(b"content-type", b"").lower())
        announced = headers.get(b"content-length", b"")
        if limit and announced.isdigit() and int(announced) > limit:
            await _refuse(send, limit)
        elif limit and b"transfer-encoding" in headers:
            await self._counted(scope, receive, send, limit)
        else:
            await self.inner(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        size, refused = 0, False

        async def counting() -> Message:
            nonlocal size, refused
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit and not refused:
                refused = True
                await _refuse(send, limit)
            return {"type": "http.disconnect"} if refused else message

        async def unless_refused(message: Message) -> None:
            if not refused:
                await send(message)

        await self.inner(scope, counting, unless_refused)


def _limit(content_type: bytes) -> int:
    """In bytes; 0: none."""
    if content_type.startswith(b"application/offset+octet-stream"):
        return 0
    if content_type.startswith(b"multipart/form-data"):
        file_bytes: int = settings.FOOTAGE.file_bytes
        return file_bytes and file_bytes + _FORM_ALLOWANCE
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


async def _refuse(send: Send, limit: int) -> None:
    body = orjson.dumps(content_of(413, f"A body may have {limit} bytes here: send less at once."))
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
