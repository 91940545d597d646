"""The two CRC-32 of a record: over its content, and over the predictor's state after it."""

import struct
import zlib
from functools import cache, lru_cache

from edge.protocol.content import FieldSet, signals_of
from edge.protocol.telemetry_pb2 import Telemetry

_COUNT = struct.Struct("<I")
_DOUBLE = struct.Struct("<d")
_NO_LISTS = bytes(3 * 4)


@cache
def _state_struct(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}B{count}q")


def state_crc(state: dict[int, int]) -> int:
    """CRC-32 of the k signal numbers (1 byte each, ascending), then their k states (int64, little-endian).

    `state` must be in ascending order of signal number.
    """
    return zlib.crc32(_state_struct(len(state)).pack(*state, *state.values()))


def content_crc(message: Telemetry, vin: str, stream_id: int) -> int:
    """CRC-32 of everything the record says but the checksum itself; `vin`, `stream_id` as they apply."""
    return content_crc_of(message, vin, stream_id, *signals_of(message))


def content_crc_of(
    message: Telemetry, vin: str, stream_id: int, present: FieldSet, values: tuple[float, ...]
) -> int:
    """The same for a message whose signals were already read.

    Every part has a fixed size or says its own, so that no two different contents give the same bytes.
    """
    head = present.head.pack(
        message.timestamp,
        stream_id,
        message.sequence,
        message.keyframe,
        message.omitted,
        message.state_crc,
        present.mask,
        *values,
    )
    names = _names(vin, message.catalogue)
    return zlib.crc32(head + names + (_lists(message) if present.lists else _NO_LISTS))


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _COUNT.pack(len(encoded)) + encoded


@lru_cache(4096)
def _names(vin: str, catalogue: str) -> bytes:
    return _text(vin) + _text(catalogue)


def _lists(message: Telemetry) -> bytes:
    """Unavailable, extra, labels, each with its count in front; the maps in order of their keys' bytes."""
    extra = sorted((key.encode(), value) for key, value in message.extra.items())
    labels = sorted((key.encode(), value) for key, value in message.labels.items())
    parts = [_COUNT.pack(len(message.unavailable))]
    parts += [_COUNT.pack(number) for number in message.unavailable]
    parts.append(_COUNT.pack(len(extra)))
    parts += [_COUNT.pack(len(key)) + key + _DOUBLE.pack(value) for key, value in extra]
    parts.append(_COUNT.pack(len(labels)))
    parts += [_COUNT.pack(len(key)) + key + _text(value) for key, value in labels]
    return b"".join(parts)
