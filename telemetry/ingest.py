"""The one door. What it has accepted is committed; everything a device is told rests on that."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from django.db import DatabaseError, InterfaceError, OperationalError

from telemetry import inbox, known, nudge
from telemetry.frames import Arrival, Delivery, Receipt
from telemetry.models import Stream

log = logging.getLogger(__name__)
RETRY_AFTER_S: Final = 5
_LIMIT: Final = 200_000


class UnavailableError(Exception):
    """Nothing was kept; the sender must try again later."""


def accept(deliveries: Sequence[Delivery]) -> list[Receipt]:
    """Commit the records of several requests together: one COPY, one commit. One receipt per delivery.

    Raises UnavailableError when the database cannot be written; then nothing at all was kept.
    """
    try:
        counts = inbox.insert([delivery.arrivals for delivery in deliveries])
        skipped = [known.skipped_in(delivery) for delivery in deliveries]
        lost = _lost.among()
    except (OperationalError, InterfaceError) as error:
        log.warning("inbox unavailable: %s", error)
        raise UnavailableError(str(error)) from error
    except DatabaseError as error:
        log.exception("inbox refused a write")
        raise UnavailableError(str(error)) from error
    nudge.dirty({a.vehicle_id for delivery in deliveries for a in delivery.arrivals})
    return [
        Receipt(new, len(delivery.arrivals) - new, left_out, _asks_keyframe(delivery, lost))
        for delivery, new, left_out in zip(deliveries, counts, skipped, strict=True)
    ]


class _Lost:
    """Streams that the drain waits for with a keyframe, and where it stands; few, so all are read, now and then."""

    _FRESH_S = 0.05

    def __init__(self) -> None:
        self._next: dict[tuple[int, int], int] = {}
        self._read_at = -1.0

    def among(self) -> dict[tuple[int, int], int]:
        """(device, stream) to the next sequence the drain expects."""
        now = time.monotonic()
        if now - self._read_at > self._FRESH_S:
            rows = Stream.objects.filter(wants_keyframe=True)[:_LIMIT]
            self._next = {
                (device, stream): following
                for device, stream, following in rows.values_list("device_id", "stream_id", "next_sequence")
            }
            self._read_at = now
        return self._next


_lost = _Lost()


class _Places:
    """Where each stream stands, as far as this process has seen: notices a gap in the request that reveals it.

    Another process may hold the records in between; then a keyframe is asked for in vain, which is harmless.
    """

    def __init__(self) -> None:
        self.expected: dict[tuple[int, int], int] = {}
        self.lost: set[tuple[int, int]] = set()
        self.keyframe: dict[tuple[int, int], int] = {}

    def see(self, arrival: Arrival) -> None:
        key = arrival.device_id, arrival.stream_id
        expected = self.expected.get(key)
        if arrival.keyframe:
            self.keyframe[key] = arrival.sequence
        if arrival.keyframe or (expected is not None and arrival.sequence < expected):
            self.lost.discard(key)  # found its place; or a late one came, and the drain knows better
        elif arrival.sequence > (expected or arrival.sequence) or (
            expected is None and arrival.sequence == 2
        ):
            self.lost.add(key)
        if expected is None and len(self.expected) >= _LIMIT:
            self.expected.clear()
            self.lost.clear()
            self.keyframe.clear()
        self.expected[key] = max(arrival.sequence + 1, expected or 0)

    def asks(self, key: tuple[int, int], stuck_at: int | None) -> bool:
        """`stuck_at`: where the drain lost its place, perhaps before it saw the keyframe that came just now."""
        return key in self.lost or (stuck_at is not None and stuck_at > self.keyframe.get(key, 0))


_places = _Places()


def _asks_keyframe(delivery: Delivery, lost: dict[tuple[int, int], int]) -> bool:
    """Does the sender's newest stream need one?"""
    last: Arrival | None = None
    for arrival in delivery.arrivals:
        if arrival.stream_id:
            _places.see(arrival)
            last = arrival
    if last is None or last.keyframe:
        return False
    key = last.device_id, last.stream_id
    return _places.asks(key, lost.get(key))
