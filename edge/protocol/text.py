"""The same record as JSON: for clients that speak the original document, and for people with curl."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from edge.protocol.checks import MAX_TEXT, BadRecordError
from edge.protocol.signals import BY_NAME
from edge.protocol.telemetry_pb2 import Telemetry

ALIASES: Final[dict[str, str]] = {
    "lat": "latitude",
    "lng": "longitude",
    "lon": "longitude",
    "gps.lat": "latitude",
    "gps.lng": "longitude",
    "gps.lon": "longitude",
    "gps.latitude": "latitude",
    "gps.longitude": "longitude",
    "soc": "battery",
    "state_of_charge": "battery",
    "vehicle_vin": "vin",
    "time": "timestamp",
}
_WHOLE: Final = {"stream_id", "sequence", "omitted", "state_crc", "content_crc"}


def message_from_json(content: Any) -> Telemetry:
    """One JSON object as a record. Unknown keys are kept: numbers as extra, words as labels."""
    if not isinstance(content, dict):
        raise BadRecordError("", "a record must be a JSON object")
    message = Telemetry()
    for key, value in _flatten(content):
        name = ALIASES.get(key, key)
        if value is not None:
            _put(message, name, value)
    return message


def _flatten(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            inner = "" if key in {"data", "extra", "labels"} and not prefix else f"{prefix}{key}."
            yield from _flatten(value, inner)
        else:
            yield f"{prefix}{key}", value


def _put(message: Telemetry, name: str, value: Any) -> None:
    if name in BY_NAME:
        setattr(message, name, _number(name, value))
    elif name == "timestamp":
        message.timestamp = _timestamp(value)
    elif name in _WHOLE:
        _put_whole(message, name, value)
    elif name == "keyframe":
        message.keyframe = value is True
    elif name in {"vin", "catalogue"}:
        setattr(message, name, str(value)[:MAX_TEXT])
    elif name == "unavailable":
        message.unavailable.extend(_signal_numbers(value))
    elif isinstance(value, bool | int | float) and abs(value) < 1e300:
        message.extra[name] = float(value)
    else:
        text = value if isinstance(value, str) else json.dumps(value)
        message.labels[name] = text[:MAX_TEXT]


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadRecordError(name, f"{str(value)[:40]!r} is not a number") from None


def _put_whole(message: Telemetry, name: str, value: Any) -> None:
    """Whole numbers may come as strings, because JavaScript cannot hold 63 bits."""
    try:
        if isinstance(value, float) and not value.is_integer():
            raise ValueError
        setattr(message, name, int(value))
    except (TypeError, ValueError, OverflowError):
        raise BadRecordError(name, f"{str(value)[:40]!r} is not a whole number in range") from None


def _signal_numbers(value: Any) -> list[int]:
    """Signal names or numbers."""
    numbers: list[int] = []
    for item in value if isinstance(value, list) else [value]:
        signal = BY_NAME.get(item) if isinstance(item, str) else None
        number = signal.number if signal else item
        if not isinstance(number, int) or not 0 <= number < 2**32:
            raise BadRecordError("unavailable", f"{str(item)[:40]!r} is no signal")
        numbers.append(number)
    return numbers


def _timestamp(value: Any) -> float:
    """ISO 8601 (UTC when it names no zone) or Unix seconds."""
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            return _number("timestamp", value)
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        return parsed.timestamp()
    return _number("timestamp", value)
