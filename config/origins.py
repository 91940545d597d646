"""Keeps other sites from opening a socket with a visitor's session cookie."""

from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings


class SameOriginForCookies:
    """A browser names the page's origin; it must be ours or a configured one. Devices send no Origin."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        allowed = {*settings.CSRF_TRUSTED_ORIGINS, *settings.CORS_ALLOWED_ORIGINS}
        if not origin or urlsplit(origin).netloc == host or origin in allowed:
            return await self.inner(scope, receive, send)
        denier = WebsocketDenier()
        return await denier(scope, receive, send)
