"""From a token to a principal, for every transport. Answers are cached for TOKEN_CACHE_S seconds per process.

One lookup renews every cached token that has grown stale, so that a thousand devices cost one query per
period, and a revoked token stops working within it.
"""

import math
import threading
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from devices.models import DeviceToken, digest_of
from fleet.access import Principal

_LIMIT = 50_000
_LONGEST = 200
_RENEWED_AT_ONCE = 1_000
_USED_EVERY = timedelta(minutes=5)
_Entry = tuple[float, Principal | None]


class TokenCache:
    """Token text's digest to principal. Safe to use from any thread."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def peek(self, text: str) -> _Entry | None:
        """A fresh answer, or None when the database must be asked. Never blocks."""
        if len(text) > _LONGEST:
            return math.inf, None  # not worth a place in memory
        entry = self._entries.get(text)
        if entry is None or entry[0] < time.monotonic():
            return None
        return entry

    def resolve(self, text: str) -> Principal | None:
        """The principal of a usable token, else None. Asks the database when the answer is not fresh."""
        entry = self.peek(text)
        return entry[1] if entry else self.resolve_all([text])[text]

    def resolve_all(self, texts: list[str]) -> dict[str, Principal | None]:
        """The same for many at once: one query, which also renews what has grown stale."""
        with self._lock:
            fresh = {text: self.peek(text) for text in texts}
            self._renew([text for text, entry in fresh.items() if entry is None])
            return {text: (entry or self._entries[text])[1] for text, entry in fresh.items()}

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def _renew(self, texts: list[str]) -> None:
        if not texts:
            return
        now = time.monotonic()
        stale = [known for known, (until, who) in self._entries.items() if until < now and who is not None]
        wanted = {text: digest_of(text) for text in (*texts, *stale[:_RENEWED_AT_ONCE])}
        found = _lookup(list(wanted.values()))
        if len(self._entries) > _LIMIT:
            self._entries.clear()
        until = now + settings.TOKEN_CACHE_S
        for text, digest in wanted.items():
            if digest in found or text in texts:
                self._entries[text] = (until, found.get(digest))
            else:
                self._entries.pop(text, None)


def _lookup(digests: list[str]) -> dict[str, Principal]:
    now = timezone.now()
    tokens = DeviceToken.objects.usable(now).filter(digest__in=digests)
    rows = tokens.values_list(
        "digest",
        "device_id",
        "device__slug",
        "device__vehicle_id",
        "device__vehicle__fleet_id",
        "device__vehicle__vin",
        "last_used_at",
    )
    found, touched = {}, []
    for digest, device, slug, vehicle, fleet, vin, used in rows:
        found[digest] = Principal(slug, device_id=device, vehicle_id=vehicle, fleet_id=fleet, vin=vin or "")
        if used is None or now - used > _USED_EVERY:
            touched.append(digest)
    if touched:
        DeviceToken.objects.filter(digest__in=touched).update(last_used_at=now)
    return found


tokens = TokenCache()


def token_in(headers: dict[str, str]) -> str:
    """The token among lower-case header names: `Authorization: Bearer`, or `X-API-Key`; empty when none."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return headers.get("x-api-key", "").strip()


class DeviceTokenAuthentication(authentication.BaseAuthentication):
    """DRF's door: `request.user` becomes the device's Principal."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        text = token_in({name.lower(): value for name, value in request.headers.items()})
        if not text:
            return None
        principal = tokens.resolve(text)
        if principal is None:
            raise exceptions.AuthenticationFailed("The token is unknown, expired or revoked.")
        return principal, None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="convoy"'
