"""Rate limits per token, person or address: windows counted in the cache, which all processes share."""

from dataclasses import dataclass
from time import time as clock
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "day": 86_400}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in each window of so many seconds ('1200/min'); 0 requests: no limit."""

    name: str
    quota: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Spent:
    """How a caller stands in the window that is open."""

    rate: Rate
    count: int
    reset_s: int

    @property
    def over(self) -> bool:
        return self.rate.quota > 0 and self.count > self.rate.quota

    def headers(self) -> dict[str, str]:
        """The fields of the IETF's draft, and those that clients have looked for since before it."""
        rate, left = self.rate, max(0, self.rate.quota - self.count)
        return {
            "RateLimit-Policy": f'"{rate.name}";q={rate.quota};w={rate.window_s}',
            "RateLimit": f'"{rate.name}";r={left};t={self.reset_s}',
            "X-RateLimit-Limit": str(rate.quota),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(self.reset_s),
        }


def rate_of(scope: str) -> Rate:
    text = str(api_settings.DEFAULT_THROTTLE_RATES[scope] or "")
    count, _, period = text.partition("/")
    return Rate(scope, int(count or 0), _SECONDS[period.strip() or "s"])


def spend(rate: Rate, who: str, cost: int = 1) -> Spent:
    """Count a request of this caller; `cost=0` only looks. One window for all, so that Reset is the truth."""
    now = clock()
    window, reset_s = int(now // rate.window_s), rate.window_s - int(now % rate.window_s)
    key = f"rate:{rate.name}:{who}:{window}"
    if not cost:
        return Spent(rate, int(cache.get(key, 0)), reset_s)
    try:
        count = cache.incr(key, cost)
    except ValueError:  # the first in its window
        cache.add(key, 0, rate.window_s + 1)
        try:
            count = cache.incr(key, cost)
        except ValueError:  # thrown out between the two
            count = cost
    return Spent(rate, int(count), reset_s)


class PrincipalThrottle(BaseThrottle):
    """A view with its own limit is a subclass with another `scope`; the numbers are in DEFAULT_THROTTLE_RATES."""

    scope = "principal"
    spent: Spent | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        rate = rate_of(self.scope)
        if rate.quota <= 0:
            return True
        self.spent = spend(rate, self.who(request))
        note(request._request, self.spent)
        return not self.spent.over

    def wait(self) -> float | None:
        return float(self.spent.reset_s) if self.spent else None

    def who(self, request: Request) -> str:
        if request.user and request.user.is_authenticated:
            pk = request.user.pk
            return pk if isinstance(pk, str) else f"user-{pk}"
        return address_of(request._request)


class LoginThrottle(PrincipalThrottle):
    """By address, whoever they say they are: passwords must not be tried by thousands."""

    scope = "login"

    def who(self, request: Request) -> str:
        return address_of(request._request)


def strangers(request: HttpRequest, cost: int = 1) -> Spent:
    """Wrong tokens of this address."""
    spent = spend(rate_of("strangers"), address_of(request), cost)
    if cost:
        note(request, spent)
    return spent


def address_of(request: HttpRequest) -> str:
    """As the server in front of Django says, which believes a proxy only where it is told to."""
    return str(request.META.get("REMOTE_ADDR") or "nowhere")


def note(request: HttpRequest, spent: Spent) -> None:
    """For the headers of the answer: of several limits the one that is nearer."""
    known: Spent | None = getattr(request, "rate_spent", None)
    if known is None or spent.rate.quota - spent.count < known.rate.quota - known.count:
        request.rate_spent = spent  # type: ignore[attr-defined]


def dress(request: HttpRequest, response: HttpResponseBase) -> None:
    spent: Spent | None = getattr(request, "rate_spent", None)
    if spent is not None:
        for name, value in spent.headers().items():
            response.headers.setdefault(name, value)
