"""What every record must satisfy before anyone keeps it. Edges ask before sending, the server on arrival."""

import math

from edge.protocol import catalogue
from edge.protocol.checksum import content_crc_of
from edge.protocol.content import FieldSet, signals_of
from edge.protocol.signals import BY_NUMBER
from edge.protocol.telemetry_pb2 import Telemetry

FUTURE_LIMIT_S = 600.0
"""A clock this far ahead is wrong; a clock behind is believed, because offline cars deliver late."""
EARLIEST = 946_684_800.0
MAX_EXTRA = 256
MAX_TEXT = 512
MAX_NAME = 64


class BadRecordError(ValueError):
    """A record that can never be accepted: which field, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def check(message: Telemetry, vin: str, stream_id: int, now: float) -> int:
    """Raises BadRecordError; answers how many signals the record carries.

    `vin` and `stream_id` are the record's own, else its batch's. Damage is looked for first, so that a
    flipped bit is not blamed on a sensor.
    """
    present, values = signals_of(message)
    _check_damage(message, vin, stream_id, present, values)
    _check_time(message.timestamp, now)
    for value, (low, high) in zip(values, present.limits, strict=True):
        if not low <= value <= high:  # also refuses NaN
            _refuse_signal(present, values)
    if present.lists:
        _check_extra(message)
    if present.lists or message.keyframe or message.catalogue:
        _check_names(message, stream_id)
    if stream_id and not 0 < message.sequence < 2**63:
        raise BadRecordError("sequence", "a stream counts from 1")
    return len(values)


def _check_damage(
    message: Telemetry, vin: str, stream_id: int, present: FieldSet, values: tuple[float, ...]
) -> None:
    for field, text in (("vin", vin), ("catalogue", message.catalogue)):
        if len(text) > MAX_NAME:
            raise BadRecordError(field, f"longer than {MAX_NAME} characters")
    if not 0 <= stream_id < 2**63:
        raise BadRecordError("stream_id", "must be below 2^63 and not negative")
    if (stream_id or message.content_crc) and message.content_crc != content_crc_of(
        message, vin, stream_id, present, values
    ):
        raise BadRecordError("content_crc", "does not match the content: damaged on the way, send it again")


def _refuse_signal(present: FieldSet, values: tuple[float, ...]) -> None:
    for number, value in zip(present.numbers, values, strict=True):
        signal = BY_NUMBER[number]
        if not signal.low <= value <= signal.high:
            limits = f"{signal.low:g} to {signal.high:g} {signal.unit}"
            raise BadRecordError(signal.name, f"{value!r} is outside {limits}")


def _check_time(timestamp: float, now: float) -> None:
    if not timestamp >= EARLIEST:
        raise BadRecordError("timestamp", f"{timestamp!r} is missing or before the year 2000")
    if timestamp > now + FUTURE_LIMIT_S:
        ahead = timestamp - now
        raise BadRecordError("timestamp", f"{ahead:.0f} s in the future; at most {FUTURE_LIMIT_S:.0f} s")


def _check_names(message: Telemetry, stream_id: int) -> None:
    if message.catalogue or (message.keyframe and stream_id):
        try:
            catalogue.load(message.catalogue)
        except catalogue.UnknownCatalogueError as unknown:
            known = ", ".join(catalogue.names())
            raise BadRecordError("catalogue", f"{message.catalogue!r} is not one of {known}") from unknown
    if len(message.unavailable) > len(BY_NUMBER):
        raise BadRecordError("unavailable", "lists more signals than there are")
    for number in message.unavailable:
        if number not in BY_NUMBER:
            raise BadRecordError("unavailable", f"there is no signal number {number}")


def _check_extra(message: Telemetry) -> None:
    if len(message.extra) + len(message.labels) > MAX_EXTRA:
        raise BadRecordError("extra", f"more than {MAX_EXTRA} further values")
    for key, value in message.extra.items():
        _check_text("extra", key)
        if not math.isfinite(value):
            raise BadRecordError(f"extra.{key}"[:100], f"{value!r} is not a number")
    for key, text in message.labels.items():
        _check_text("labels", key)
        _check_text(f"labels.{key}"[:100], text)


def _check_text(field: str, text: str) -> None:
    if len(text) > MAX_TEXT:
        raise BadRecordError(field, f"a text is longer than {MAX_TEXT} characters")
    if "\0" in text:  # PostgreSQL cannot store it
        raise BadRecordError(field, "a text contains the character U+0000")
