"""The sessions of the pages: whose they are, where from, and ending them. Django's SESSION_ENGINE."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from django.contrib.auth import get_user
from django.contrib.sessions.backends import db
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from fleet.models import Session, User
from fleet.push import access_changed

SEEN_EVERY_S = 300
_NOTES = "log_in"
"""The session's key for where from and when."""


class SessionStore(db.SessionStore):
    """Django's own, with columns to find a person's sessions by."""

    @classmethod
    def get_model_class(cls) -> Any:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row: Any = super().create_model_instance(data)
        notes = data.get(_NOTES, {})
        row.user_id = data.get("_auth_user_id")
        row.address, row.agent = notes.get("address"), notes.get("agent", "")
        row.began_at, row.seen_at = _moment(notes.get("began")), _moment(notes.get("seen"))
        return row


def note(request: HttpRequest) -> None:
    """Call after a log-in: written with the session itself."""
    now = int(time.time())
    request.session[_NOTES] = {"began": now, "seen": now, **_whence(request)}


class SeenMiddleware:
    """Keeps "last seen" to the nearest five minutes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        notes = request.session.get(_NOTES) if request.COOKIES else None
        if notes and time.time() - notes["seen"] > SEEN_EVERY_S:
            request.session[_NOTES] = notes | {"seen": int(time.time()), **_whence(request)}
        return self.get_response(request)


def active(user: User) -> QuerySet[Session]:
    """Newest first."""
    return Session.objects.filter(user=user, expire_date__gt=timezone.now()).order_by(
        "-seen_at", "-expire_date"
    )


def end(user: User, keys: Iterable[str]) -> int:
    """Pages answer the log-in at the next click; sockets are told at once. How many were ended."""
    ended, _ = Session.objects.filter(user=user, session_key__in=list(keys)).delete()
    access_changed(user.pk)
    return ended


def end_all(user: User, but: str | None = None) -> None:
    """All this person is logged in with but one session: pages and API, where an access token lives on for minutes."""
    end(user, active(user).exclude(session_key=but or "").values_list("session_key", flat=True))
    end_api(user)


def api_log_ins(user: User) -> QuerySet[OutstandingToken]:
    """Refresh tokens that still work, newest first."""
    tokens = OutstandingToken.objects.filter(user=user, expires_at__gt=timezone.now(), blacklistedtoken=None)
    return tokens.order_by("-created_at")


def end_api(user: User) -> None:
    BlacklistedToken.objects.bulk_create(
        [BlacklistedToken(token=token) for token in api_log_ins(user)], ignore_conflicts=True
    )


def user_of(session_key: str) -> User | None:
    """Whom this session still lets in, asked of the database."""
    user = get_user(SimpleNamespace(session=SessionStore(session_key)))  # type: ignore[arg-type]
    return user if isinstance(user, User) else None


def prune() -> None:
    Session.objects.filter(expire_date__lte=timezone.now()).delete()


def _whence(request: HttpRequest) -> dict[str, Any]:
    return {
        "address": request.META.get("REMOTE_ADDR") or None,
        "agent": request.headers.get("User-Agent", "")[:200].replace("\0", ""),
    }


def _moment(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
