"""The frozen values that pass through this app, one per stage. Times are microseconds since 1970 (UTC)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Arrival(NamedTuple):
    """A valid record on its way into the inbox."""

    device_id: int
    vehicle_id: int
    stream_id: int
    sequence: int
    time_us: int
    received_us: int
    payload: bytes
    keyframe: bool


class Pending(NamedTuple):
    """A record taken out of the inbox (or out of `telemetry_held`, then `held` is True)."""

    id: int
    device_id: int
    vehicle_id: int
    stream_id: int
    sequence: int
    time_us: int
    received_us: int
    payload: bytes
    held: bool = False


class Record(NamedTuple):
    """A row of history."""

    vehicle_id: int
    device_id: int
    time_us: int
    received_us: int
    stream_id: int
    sequence: int
    quality: int
    sent: int
    """Bit n: signal n was sent."""
    signals: dict[int, float]
    """Signal number to value in the signal's wire unit, reconstructed ones included."""
    extra: dict[str, Any] | None = None
    decoder: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record refused for good: which one of the body, which field, why."""

    record: int
    field: str
    reason: str
    status: int = 400

    def as_json(self) -> dict[str, Any]:
        return {"record": self.record, "field": self.field, "reason": self.reason}


class Delivery(NamedTuple):
    """What one request brought, after parsing and checking."""

    arrivals: Sequence[Arrival]
    rejected: Sequence[Rejection] = ()
    transmitted: int = 0
    skipped: int = 0
    """As the senders' streams say; records without a stream are counted by `unverified`."""
    unverified: Sequence[int] = ()
    """Per record without a stream: bit n set, signal n was sent."""


class Receipt(NamedTuple):
    """What became of a delivery: everything counted here is committed."""

    accepted: int
    repeated: int
    skipped: int
    """Signals left out, as far as they are known to exist."""
    keyframe: bool = False
    """The server lost its place in the sender's stream: the next record should be a keyframe."""


def to_us(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
