"""How much one token, or one address without a token, may ask of this process: a bucket that refills."""

import time
from dataclasses import dataclass

from django.conf import settings

_LIMIT = 100_000


def parse_rate(text: str) -> float:
    """'50/s', '600/min' or '1000/hour' as requests per second; empty or 0: no limit."""
    count, _, period = text.partition("/")
    seconds = {"": 1, "s": 1, "sec": 1, "min": 60, "m": 60, "hour": 3600, "h": 3600}[period.strip()]
    return float(count or 0) / seconds


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """Token buckets by key; `wait` answers how long the caller must wait, 0.0 when it may go on."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._buckets: dict[str | int, _Bucket] = {}

    def wait(self, key: str | int, now: float | None = None) -> float:
        if self.rate <= 0:
            return 0.0
        now = time.monotonic() if now is None else now
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= _LIMIT:
                self._buckets.clear()
            bucket = self._buckets[key] = _Bucket(self.burst, now)
        bucket.tokens = min(self.burst, bucket.tokens + (now - bucket.at) * self.rate)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self.rate
        bucket.tokens -= 1
        return 0.0

    def empty_for(self, key: str | int) -> float:
        """How long `wait` would answer, without taking anything."""
        bucket = self._buckets.get(key)
        if bucket is None or self.rate <= 0:
            return 0.0
        tokens = bucket.tokens + (time.monotonic() - bucket.at) * self.rate
        return max(0.0, (1 - tokens) / self.rate)


def per_device() -> Buckets:
    return Buckets(parse_rate(settings.INGEST_RATE), settings.INGEST_BURST)


def per_address() -> Buckets:
    """For wrong tokens: a guesser is slowed down long before chance helps."""
    return Buckets(1.0, 30)
