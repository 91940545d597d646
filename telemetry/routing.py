"""WebSocket paths of this app."""

from typing import Any

from django.urls import path

from telemetry.consumers import LiveConsumer

_live: Any = LiveConsumer.as_asgi()
websocket_urlpatterns: list[Any] = [path("ws", _live), path("ws/", _live)]
