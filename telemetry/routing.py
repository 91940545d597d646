"""WebSocket paths of this app."""

from django.urls import path

from telemetry.consumers import LiveConsumer

websocket_urlpatterns = [path("ws", LiveConsumer.as_asgi()), path("ws/", LiveConsumer.as_asgi())]
