"""`Idempotency-Key`: a creating POST that is sent again is done once and answered the same.

The answer is kept in the transaction of the act itself: after a crash either both are there or neither. A secret in an
answer is not kept: the repeated answer says what was made, and null for its secret.
"""

import hashlib
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

import orjson
from django.db import connection, transaction
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.access import Principal
from fleet.api.problems import Conflict, ProblemSerializer
from fleet.jsontext import dumped
from fleet.models import IdempotencyKey

KEPT = timedelta(hours=24)
_LONGEST = 255
_RETRY_AFTER_S = 1.0

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Any text of up to 255 characters, new for each thing to create. Within 24 hours the same key "
    "with the same request answers what the first one did, and does nothing.",
)


REPEATED: dict[int, Any] = {409: ProblemSerializer, 422: ProblemSerializer}
"""What the key adds to an operation's answers."""


class _Reused(exceptions.APIException):
    status_code = 422
    default_detail = "This Idempotency-Key was used for another request: send a new one."


Handler = Callable[..., Response]


def idempotent(post: Handler, secret: str = "") -> Handler:
    """For the creating methods of a view. Put `extend_schema` above it, with IDEMPOTENCY_KEY, 409 and 422.

    The method runs in a transaction. Errors are not kept: they changed nothing, so the client may try again.
    `secret`: the field of the answer that must not be kept; use `partial(idempotent, secret=...)`.
    """

    @wraps(post)
    def answer(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return post(view, request, *args, **kwargs)
        if not 0 < len(key) <= _LONGEST or not (key.isascii() and key.isprintable()):
            raise exceptions.ValidationError(
                {"Idempotency-Key": "Must be 1 to 255 printable ASCII characters."}
            )
        who, fingerprint = _who(request), _fingerprint(request)
        with transaction.atomic():
            _only_one_at_a_time(who, key)
            kept = IdempotencyKey.objects.filter(principal=who, key=key).first()
            if kept is not None:
                return _again(kept, fingerprint)
            response = post(view, request, *args, **kwargs)
            if response.status_code < 400:
                IdempotencyKey.objects.create(
                    principal=who,
                    key=key,
                    fingerprint=fingerprint,
                    status=response.status_code,
                    body=_kept(response.data, secret),
                    location=response.headers.get("Location", ""),
                )
        return response

    return answer


def _kept(data: Any, secret: str) -> str:
    return dumped(data | {secret: None} if secret else data).decode()


def prune(now: datetime) -> int:
    return IdempotencyKey.objects.filter(created_at__lt=now - KEPT).delete()[0]


def _again(kept: IdempotencyKey, fingerprint: str) -> Response:
    if kept.fingerprint != fingerprint:
        raise _Reused
    headers = {"Idempotency-Replayed": "true"} | ({"Location": kept.location} if kept.location else {})
    return Response(orjson.loads(kept.body), status=kept.status, headers=headers)


def _only_one_at_a_time(who: str, key: str) -> None:
    """On SQLite the second waits for the transaction of the first, and then finds its answer."""
    if connection.vendor != "postgresql":
        return
    numbers = [zlib.crc32(text.encode()) - 2**31 for text in (who, key)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", numbers)
        if not cursor.fetchone()[0]:
            raise Conflict("The same request is being worked on: ask again for its answer.", _RETRY_AFTER_S)


def _who(request: Request) -> str:
    user: Any = request.user
    return user.pk if isinstance(user, Principal) else f"user-{user.pk}"


def _fingerprint(request: Request) -> str:
    """Read before the view does, which Django then parses from the same bytes."""
    raw = request._request
    head = f"{raw.method} {raw.get_full_path()}\n".encode()
    return hashlib.sha256(head + raw.body).hexdigest()
