"""Stored content as JSON text."""

from datetime import UTC, datetime
from typing import Any

import orjson


def dumped(content: Any) -> bytes:
    """What orjson does not know as text. PostgreSQL writes a large float as a whole number of hundreds of digits: it is
    a float again."""
    try:
        return orjson.dumps(content, default=str, option=orjson.OPT_UTC_Z)
    except TypeError:
        return orjson.dumps(_sized(content), default=str, option=orjson.OPT_UTC_Z)


def written(moment: datetime) -> str:
    """As `dumped` writes it, where text is needed before."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def not_json(body: bytes, error: orjson.JSONDecodeError) -> str:
    """Why it could not be read."""
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        return f"The body is not UTF-8 text: byte {wrong.start} cannot stand there."
    return f"The body is not valid JSON: {error}"


def _sized(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _sized(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_sized(value) for value in content]
    if isinstance(content, int) and not -(2**63) <= content < 2**64:
        return float(content)
    return content
