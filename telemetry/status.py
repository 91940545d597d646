"""`/status` in the document's shape, `/health` for whoever watches the machine, `/logger/start` and `/stop`."""

import time
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes, throttle_classes
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.access import principal_of
from fleet.audit import Actor
from telemetry import compression, housekeeping, logger
from telemetry.hub import sockets_of_process
from telemetry.live import channel_layer

_FRESH_S = 1.0
_WORKER_SILENT_S = 60.0
_LAG_LIMIT_S = 60.0


_COUNTS = inline_serializer(
    "CompressionTotals",
    {
        "total_readings": serializers.IntegerField(),
        "transmitted_readings": serializers.IntegerField(),
        "skipped_readings": serializers.IntegerField(),
        "compression_ratio": serializers.FloatField(),
    },
)
_STATUS = inline_serializer(
    "SystemStatus",
    {
        "status": serializers.CharField(),
        "compression_stats": _COUNTS,
        "supabase_enabled": serializers.BooleanField(),
        "connected_clients": serializers.IntegerField(),
    },
)
_AWAY = inline_serializer(
    "SystemUnavailable", {"status": serializers.CharField(), "error": serializers.CharField()}
)
_PARTS = ("database", "cache", "broker", "channel_layer")
_HEALTH = inline_serializer(
    "Health",
    {
        "status": serializers.ChoiceField(["healthy", "degraded", "unhealthy"]),
        **{name: serializers.CharField(help_text="`ok` or `unavailable`.") for name in _PARTS},
        "worker_last_seen_s": serializers.FloatField(allow_null=True),
        "oldest_unprocessed_frame_s": serializers.FloatField(allow_null=True),
    },
)


def _open(view: Any) -> Any:
    """For everybody, and not counted: what watches the machine asks often, and with any token."""
    unguarded = throttle_classes([])(permission_classes([])(authentication_classes([])(view)))
    return api_view(["GET", "HEAD"])(unguarded)


@extend_schema(summary="Totals of the predictor", auth=[], responses={200: _STATUS, 503: _AWAY})
@_open
def status(request: Request) -> Response:
    """Open to everybody, as the document has it: totals only, nothing about any one vehicle."""
    try:
        content = {
            "status": "healthy",
            "compression_stats": compression.totals(),
            "supabase_enabled": settings.SUPABASE_ENABLED,
            "connected_clients": sockets_of_process(),
        }
    except DatabaseError:
        return Response({"status": "unhealthy", "error": "database unavailable"}, status=503)
    return Response(content)


_last_health: tuple[float, dict[str, Any], int] = (0.0, {}, 200)


@extend_schema(summary="The state of every part", auth=[], responses={200: _HEALTH, 503: _HEALTH})
@_open
def health(request: Request) -> Response:
    """Every part by name. 503 only when records cannot be kept; a slow worker is `degraded`."""
    global _last_health  # noqa: PLW0603 - asked often, answered from a second's memory
    at, content, code = _last_health
    if time.monotonic() - at > _FRESH_S or not content:
        content, code = _examine()
        _last_health = (time.monotonic(), content, code)
    return Response(content, status=code)


def _examine() -> tuple[dict[str, Any], int]:
    parts: dict[str, Any] = {
        "database": _works(_ask_database),
        "cache": _works(_ask_cache),
        "broker": _works(_ask_broker),
        "channel_layer": _works(_ask_layer),
    }
    database = parts["database"] == "ok"
    seen = cache.get(housekeeping.WORKER_SEEN) if parts["cache"] == "ok" else None
    lag = None if seen is None else max(0.0, time.time() - seen)
    oldest = housekeeping.oldest_frame_age(timezone.now()) if database else None
    parts["worker_last_seen_s"] = None if lag is None else round(lag, 1)
    parts["oldest_unprocessed_frame_s"] = None if oldest is None else round(oldest, 3)
    slow = lag is None or lag > _WORKER_SILENT_S or (oldest or 0.0) > _LAG_LIMIT_S
    fine = not slow and all(parts[name] == "ok" for name in ("cache", "broker", "channel_layer"))
    word = "unhealthy" if not database else "healthy" if fine else "degraded"
    return {"status": word, **parts}, 200 if database else 503


def _works(ask: Callable[[], object]) -> str:
    try:
        ask()
    except Exception:
        return "unavailable"
    return "ok"


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_cache() -> None:
    cache.set("health", 1, 5)
    assert cache.get("health") == 1


def _ask_broker() -> None:
    with current_app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=0, timeout=2)


def _ask_layer() -> None:
    async_to_sync(channel_layer().group_send)("health", {"type": "health"})


_REPLY = inline_serializer(
    "LoggerReply", {"status": serializers.CharField(), "message": serializers.CharField()}
)


_WHOSE = inline_serializer(
    "LoggerRequest",
    {
        "vehicle": serializers.CharField(
            required=False,
            help_text="Slug, VIN or plate: a command to its device. Without: the replay logger.",
        )
    },
)
_ANSWERS = {200: _REPLY, 403: _REPLY, 404: _REPLY, 409: _REPLY}


@extend_schema(summary="Start a telemetry logger", request=_WHOSE, responses=_ANSWERS)
@api_view(["POST"])
def start_logger(request: Request) -> Response:
    return _told(logger.start(Actor.of(request), principal_of(request.user), _vehicle(request)))


@extend_schema(summary="Stop a telemetry logger", request=_WHOSE, responses=_ANSWERS)
@api_view(["POST"])
def stop_logger(request: Request) -> Response:
    return _told(logger.stop(Actor.of(request), principal_of(request.user), _vehicle(request)))


def _vehicle(request: Request) -> Any:
    """The documents send no JSON; whatever type a client calls nothing is fine."""
    try:
        body = request.data
    except UnsupportedMediaType:
        return None
    return body.get("vehicle") if isinstance(body, dict) else None


def _told(reply: logger.Reply) -> Response:
    word = "success" if reply.done else "error"
    return Response({"status": word, "message": reply.message}, status=reply.status)
