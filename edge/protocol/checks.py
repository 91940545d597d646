"""What every record must satisfy before anybody keeps it. The edge asks before sending, the server at its door."""

import math

from edge.protocol import catalogue
from edge.protocol.checksum import LAST_SIGNAL, content_crc
from edge.protocol.signals import BY_NUMBER
from edge.protocol.telemetry_pb2 import Telemetry

FUTURE_LIMIT_S = 600.0
"""A clock this far ahead is wrong; a clock behind is believed, because offline cars deliver late."""
EARLIEST = 946_684_800.0
MAX_EXTRA = 256
MAX_TEXT = 512


class BadRecordError(ValueError):
    """A record that can never be accepted: which field, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def check(message: Telemetry, vin: str, stream_id: int, now: float) -> int:
    """Raises BadRecordError; answers how many signals the record carries."""
    _check_time(message.timestamp, now)
    sent = 0
    for descriptor, value in message.ListFields():
        number = descriptor.number
        if number < 6:
            continue
        if number > LAST_SIGNAL:
            break
        signal = BY_NUMBER[number]
        if not signal.low <= value <= signal.high:  # also refuses NaN
            limits = f"{signal.low:g} to {signal.high:g} {signal.unit}"
            raise BadRecordError(signal.name, f"{value!r} is outside {limits}")
        sent += 1
    if message.extra or message.labels:
        _check_extra(message)
    if message.keyframe or message.catalogue or message.unavailable:
        _check_names(message, stream_id)
    if stream_id:
        _check_stream(message, vin, stream_id)
    elif message.content_crc and message.content_crc != content_crc(message, vin, 0):
        raise BadRecordError("content_crc", "does not match the content: damaged on the way, send it again")
    return sent


def _check_time(timestamp: float, now: float) -> None:
    if not timestamp >= EARLIEST:
        raise BadRecordError("timestamp", f"{timestamp!r} is missing or before the year 2000")
    if timestamp > now + FUTURE_LIMIT_S:
        ahead = timestamp - now
        raise BadRecordError("timestamp", f"{ahead:.0f} s in the future; at most {FUTURE_LIMIT_S:.0f} s")


def _check_stream(message: Telemetry, vin: str, stream_id: int) -> None:
    if stream_id >= 2**63:
        raise BadRecordError("stream_id", "must be below 2^63")
    if not 0 < message.sequence < 2**63:
        raise BadRecordError("sequence", "a stream counts from 1")
    if message.content_crc != content_crc(message, vin, stream_id):
        raise BadRecordError("content_crc", "does not match the content: damaged on the way, send it again")


def _check_names(message: Telemetry, stream_id: int) -> None:
    if message.catalogue or (message.keyframe and stream_id):
        try:
            catalogue.load(message.catalogue)
        except catalogue.UnknownCatalogueError as unknown:
            known = ", ".join(catalogue.names())
            raise BadRecordError("catalogue", f"{message.catalogue!r} is not one of {known}") from unknown
    for number in message.unavailable:
        if number not in BY_NUMBER:
            raise BadRecordError("unavailable", f"there is no signal number {number}")


def _check_extra(message: Telemetry) -> None:
    if len(message.extra) + len(message.labels) > MAX_EXTRA:
        raise BadRecordError("extra", f"more than {MAX_EXTRA} further values")
    for key, value in message.extra.items():
        if not math.isfinite(value):
            raise BadRecordError(f"extra.{key}"[:100], f"{value!r} is not a number")
    if any(len(key) > MAX_TEXT for key in (*message.extra, *message.labels)):
        raise BadRecordError("extra", f"a name is longer than {MAX_TEXT} characters")
    if any(len(text) > MAX_TEXT for text in message.labels.values()):
        raise BadRecordError("labels", f"a text is longer than {MAX_TEXT} characters")
