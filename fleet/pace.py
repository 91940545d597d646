"""Slows down whoever asks too often, in the shared cache: for forms that cost a mail or invite guessing."""

import hashlib

from django.core.cache import cache
from django.http import HttpRequest


def within(what: str, who: str, limit: int, seconds: int) -> bool:
    """Count this time; False once `who` has come more than `limit` times within about `seconds`."""
    key = f"pace-{what}-{hashlib.sha256(who.encode()).hexdigest()}"
    cache.add(key, 0, seconds)
    try:
        return cache.incr(key) <= limit
    except ValueError:  # it expired between the two
        return True


def address_of(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR") or "unknown")
