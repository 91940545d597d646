"""Errors as RFC 9457 problem documents: what is wrong, in which field, and whether trying again helps."""

import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import set_rollback

from fleet.api.packed import Refused

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_S = 5


class FieldErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Path in the body: `data.gps.lat`, `records[3].speed`.")
    reason = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField(help_text="`about:blank`: the status says it all.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What to do about it.")
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]


class Conflict(exceptions.APIException):
    """What is asked for cannot be done to the thing as it is now. `wait`: seconds until it is worth asking again."""

    status_code = HTTPStatus.CONFLICT
    default_detail = "This cannot be done now."
    default_code = "conflict"

    def __init__(self, detail: str, wait: float | None = None) -> None:
        super().__init__(detail)
        self.wait = wait


def problem(status: int, detail: str, errors: list[dict[str, str]] | None = None, **more: Any) -> Response:
    return Response(content_of(status, detail, errors, **more), status=status, content_type=MEDIA_TYPE)


def content_of(
    status: int, detail: str, errors: list[dict[str, str]] | None = None, **more: Any
) -> dict[str, Any]:
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    if errors:
        content["errors"] = errors
    return content


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. None: not ours, Django's own error handling follows."""
    match exc:
        case Http404():
            exc = exceptions.NotFound("There is nothing here that you may see.")
        case PermissionDenied():
            exc = exceptions.PermissionDenied(*exc.args)
        case RequestDataTooBig():
            exc = Refused(413, f"A body may have {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes here.")
        case exceptions.UnsupportedMediaType():
            exc = exceptions.UnsupportedMediaType("", f"{exc.detail} Send {_taken_by(context.get('view'))}.")
        case SuspiciousOperation():  # of Django's own parsers: too many fields, a header that is none
            exc = exceptions.ParseError(str(exc))
        case OperationalError() | InterfaceError():
            set_rollback()
            reply = problem(503, "The database cannot be reached now. Nothing was kept: send it again.")
            reply["Retry-After"] = str(_RETRY_AFTER_S)
            return reply
    if not isinstance(exc, exceptions.APIException):
        return None
    set_rollback()
    errors = list(_flat(exc.detail)) if isinstance(exc, exceptions.ValidationError) else []
    detail = _detail(errors) if errors else _first(exc.detail)
    reply = problem(exc.status_code, detail, errors)
    if header := getattr(exc, "auth_header", None):
        reply["WWW-Authenticate"] = header
    if wait := getattr(exc, "wait", None):
        reply["Retry-After"] = str(max(1, math.ceil(wait)))
    return reply


def _taken_by(view: Any) -> str:
    return (
        " or ".join(parser.media_type for parser in getattr(view, "parser_classes", ())) or "application/json"
    )


def _flat(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Nested serializer errors as a list of paths."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            if isinstance(name, int):  # of a list, by place
                yield from _flat(inner, f"{path}[{name}]")
                continue
            own = "" if name == "non_field_errors" else str(name)
            yield from _flat(inner, f"{path}.{own}".strip("."))
    elif isinstance(detail, list):
        for place, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from _flat(inner, f"{path}[{place}]" if nested and len(detail) > 1 else path)
    else:
        yield {"field": path, "reason": str(detail)}


def _detail(errors: list[dict[str, str]]) -> str:
    first = errors[0]
    more = f" ({len(errors) - 1} more in `errors`)" if len(errors) > 1 else ""
    return (f"{first['field']}: " if first["field"] else "") + first["reason"] + more


def _first(detail: Any) -> str:
    if isinstance(detail, dict):
        return _first(detail.get("detail") or next(iter(detail.values()), ""))
    return _first(detail[0]) if isinstance(detail, list) and detail else str(detail)
