"""The same record as JSON: for clients that speak the original document, and for people with curl."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from edge.protocol.checks import MAX_TEXT, BadRecordError
from edge.protocol.signals import BY_NAME, BY_NUMBER
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
MAX_DEPTH: Final = 8
_FINER: Final = ((1e14, 1e6), (1e11, 1e3))
"""As seconds they would lie after the year 5000."""
_WHOLE: Final = {"stream_id", "sequence", "omitted", "state_crc", "content_crc"}


def message_from_json(content: Any) -> Telemetry:
    """One JSON object as a record. Unknown keys are kept: numbers as extra, words as labels."""
    if not isinstance(content, dict):
        raise BadRecordError("", "a record must be a JSON object")
    message = Telemetry()
    for name, value, put in _entries(content):
        if value is None:
            continue
        try:
            put(message, name, value)
        except UnicodeEncodeError:
            raise BadRecordError(name.encode("ascii", "replace").decode(), "is not valid text") from None
        except RecursionError:
            raise BadRecordError(name, "nested too deep") from None
    return message


Put = Callable[[Telemetry, str, Any], None]


def _entries(content: dict[str, Any]) -> Iterator[tuple[str, Any, Put]]:
    """Every leaf with its dotted name; what stands under `extra` or `labels` is never taken for a signal."""
    for key, value in content.items():
        if key == "extra" and isinstance(value, dict):
            yield from ((name, leaf, _put_extra) for name, leaf in _flatten(value))
        elif key == "labels" and isinstance(value, dict):
            yield from ((name, leaf, _put_label) for name, leaf in _flatten(value))
        elif key == "data" and isinstance(value, dict):
            yield from ((ALIASES.get(name, name), leaf, _put) for name, leaf in _flatten(value))
        else:
            yield from ((ALIASES.get(name, name), leaf, _put) for name, leaf in _flatten({key: value}))


def _flatten(content: dict[str, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    if depth > MAX_DEPTH:
        raise BadRecordError(prefix[:100], f"nested more than {MAX_DEPTH} deep")
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.", depth + 1)
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
        if not isinstance(value, bool):
            raise BadRecordError(name, f"{str(value)[:40]!r} is neither true nor false")
        message.keyframe = value
    elif name in {"vin", "catalogue"}:
        setattr(message, name, str(value))
    elif name == "unavailable":
        message.unavailable.extend(_signal_numbers(value))
    elif isinstance(value, bool | int | float):
        _put_extra(message, name, value)
    else:
        text = value if isinstance(value, str) else json.dumps(value)
        message.labels[name] = text[:MAX_TEXT]


def _put_extra(message: Telemetry, name: str, value: Any) -> None:
    message.extra[name] = _number(f"extra.{name}", value)


def _put_label(message: Telemetry, name: str, value: Any) -> None:
    message.labels[name] = value if isinstance(value, str) else json.dumps(value)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadRecordError(name[:100], f"{str(value)[:40]!r} is not a number") from None


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
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**32:
            raise BadRecordError("unavailable", f"{str(item)[:40]!r} is no signal")
        numbers.append(number)
    return numbers


def _timestamp(value: Any) -> float:
    """Unix seconds (milliseconds, microseconds: told apart by size), or ISO 8601 (UTC when it names no zone)."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    else:
        return next((number / by for least, by in _FINER if abs(number) >= least), number)
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadRecordError("timestamp", f"{str(value)[:40]!r} is no time") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def json_from_message(message: Telemetry) -> dict[str, Any]:
    """The record as JSON content: every field that is set, stream_id as a string, signals by name."""
    content: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name == "stream_id":
            content[field.name] = str(value)
        elif field.name == "unavailable":
            content[field.name] = [BY_NUMBER[number].name for number in value]
        elif field.name in {"extra", "labels"}:
            content[field.name] = dict(sorted(value.items()))
        else:
            content[field.name] = value
    return content
