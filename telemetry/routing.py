"""WebSocket paths of this app."""

from typing import Any

from django.urls import path, re_path

from telemetry.consumers import LiveConsumer, NothingHere

_live: Any = LiveConsumer.as_asgi()
_nothing: Any = NothingHere.as_asgi()
websocket_urlpatterns: list[Any] = [path("ws", _live), path("ws/", _live), re_path("", _nothing)]
