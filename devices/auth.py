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
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.tokens import AccessToken

from devices import refusals
from devices.models import TOKEN_MARK, Device, DeviceToken, digest_of
from fleet.access import Principal, principal_of
from fleet.api.throttles import strangers

_LIMIT = 50_000
_LONGEST = 200
_RENEWED_AT_ONCE = 1_000
_USED_EVERY = timedelta(minutes=5)
_SCHEMES = frozenset({"bearer", "token", "apikey", "api-key"})
_GUESSING = "Too many wrong tokens from this address."
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
                who, left_s = found.get(digest, (None, math.inf))
                self._entries[text] = (min(until, now + left_s), who)
            else:
                self._entries.pop(text, None)


def _lookup(digests: list[str]) -> dict[str, tuple[Principal, float]]:
    """Whose they are, and how many seconds they are still good for."""
    now = timezone.now()
    tokens = DeviceToken.objects.usable(now).filter(digest__in=digests)
    rows = tokens.values_list(
        "digest",
        "device_id",
        "device__slug",
        "device__vehicle_id",
        "device__vehicle__fleet_id",
        "device__vehicle__vin",
        "scopes",
        "expires_at",
        "last_used_at",
    )
    found, touched = {}, []
    for digest, device, slug, vehicle, fleet, vin, scopes, expires, used in rows:
        principal = Principal(
            slug,
            device_id=device,
            vehicle_id=vehicle,
            fleet_id=fleet,
            vin=vin or "",
            scopes=frozenset(scopes),
        )
        left_s = math.inf if expires is None else (expires - now).total_seconds()
        found[digest] = principal, left_s
        if used is None or now - used > _USED_EVERY:
            touched.append(digest)
    if touched:
        DeviceToken.objects.filter(digest__in=touched).update(last_used_at=now)
    return found


tokens = TokenCache()


def token_in(headers: dict[str, str]) -> str:
    """The token among lower-case header names; empty when none.

    `Authorization: Bearer`, or `X-API-Key`; also the schemes that other systems' clients use, and a token without one.
    """
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() in _SCHEMES:
        return value.strip()
    if scheme.startswith(TOKEN_MARK) and not value:
        return scheme
    return headers.get("x-api-key", "").strip()


class JwtAuthentication(JWTAuthentication):
    """An access token from /auth/login. A device account acts as its device."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        text = token_in({name.lower(): value for name, value in request.headers.items()})
        if not looks_like_jwt(text):
            return None
        try:
            token = self.get_validated_token(text.encode())
            return self.get_user(token), token
        except InvalidToken:
            _count_wrong(request)
            raise exceptions.AuthenticationFailed(
                "The access token is expired or not valid: log in again."
            ) from None
        except exceptions.AuthenticationFailed:
            _count_wrong(request)
            raise

    def get_user(self, validated_token: Any) -> Any:
        user: Any = super().get_user(validated_token)
        if not user.is_device:
            return user
        device = Device.objects.working().filter(account=user).select_related("vehicle").first()
        if device is None:
            raise exceptions.AuthenticationFailed("This account's device is inactive or gone.")
        return principal_of_device(device)


def _count_wrong(request: Request) -> None:
    if (spent := strangers(request._request)).over:
        raise exceptions.Throttled(spent.reset_s, _GUESSING)


def resolve(text: str) -> Principal | None:
    """Who a device token or an access token stands for, where no request is at hand."""
    if not looks_like_jwt(text):
        return tokens.resolve(text)
    gate = JwtAuthentication()
    try:
        return principal_of(gate.get_user(gate.get_validated_token(text.encode())))
    except exceptions.AuthenticationFailed:
        return None


def resolve_again(text: str) -> Principal | None:
    """What a text that `resolve` took stands for now. A log-in's age does not matter here; a changed password does."""
    if not looks_like_jwt(text):
        return tokens.resolve(text)
    try:
        return principal_of(JwtAuthentication().get_user(AccessToken(text, verify=False)))  # type: ignore[arg-type]
    except exceptions.AuthenticationFailed:
        return None


def looks_like_jwt(text: str) -> bool:
    return text.count(".") == 2


def principal_of_device(device: Device) -> Principal:
    """Needs `vehicle` selected."""
    vehicle = device.vehicle
    return Principal(
        device.slug,
        device_id=device.pk,
        vehicle_id=vehicle.pk,
        fleet_id=vehicle.fleet_id,
        vin=vehicle.vin or "",
    )


class DeviceTokenAuthentication(authentication.BaseAuthentication):
    """DRF's door: `request.user` becomes the device's Principal."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        text = token_in({name.lower(): value for name, value in request.headers.items()})
        if not text or looks_like_jwt(text):
            return None
        known = tokens.peek(text)
        if (
            known is None and strangers(request._request, cost=0).over
        ):  # guessing must not cost a look-up each
            raise exceptions.Throttled(strangers(request._request, cost=0).reset_s, _GUESSING)
        principal = known[1] if known else tokens.resolve(text)
        if principal is None:
            refusals.note_token(text)
            _count_wrong(request)
            raise exceptions.AuthenticationFailed("The token is unknown, expired or revoked.")
        return principal, None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="convoy"'
