"""What daphne and uvicorn serve: the fast lane in front, then Django over HTTP, Channels over WebSocket."""

import os
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
http: Any = get_asgi_application()

from django.conf import settings  # noqa: E402 - apps must be loaded before anything below

from config.bodies import LimitedBodies  # noqa: E402
from config.memory import settle  # noqa: E402
from config.origins import SameOriginForCookies  # noqa: E402
from config.patches import PiecewisePatches  # noqa: E402
from telemetry.routing import websocket_urlpatterns  # noqa: E402
from telemetry.transports.fast import FastLane  # noqa: E402

routes: Any = ProtocolTypeRouter(
    {
        "http": LimitedBodies(PiecewisePatches(http)),
        "websocket": SameOriginForCookies(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
application = FastLane(routes) if settings.FAST_LANE else routes
settle()
