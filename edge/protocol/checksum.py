"""The two CRC-32 of a record: over its content, and over the predictor's state after it."""

import struct
import zlib
from functools import cache

from edge.protocol.telemetry_pb2 import Telemetry

LAST_SIGNAL = 39
_HEAD = struct.Struct("<dQQBII")
_SIGNAL = struct.Struct("<Bd")
_DOUBLE = struct.Struct("<d")


@cache
def _state_struct(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}B{count}q")


def state_crc(state: dict[int, int]) -> int:
    """CRC-32 of the k signal numbers (1 byte each, ascending), then their k states (int64, little-endian).

    `state` must be in ascending order of signal number.
    """
    return zlib.crc32(_state_struct(len(state)).pack(*state.keys(), *state.values()))


def content_crc(message: Telemetry, vin: str, stream_id: int) -> int:
    """CRC-32 of everything the record says but the checksum itself; `vin`, `stream_id` as they apply."""
    parts = [
        _HEAD.pack(
            message.timestamp,
            stream_id,
            message.sequence,
            message.keyframe,
            message.omitted,
            message.state_crc,
        )
    ]
    parts += [
        _SIGNAL.pack(field.number, value)
        for field, value in message.ListFields()
        if 5 < field.number <= LAST_SIGNAL
    ]
    if message.unavailable:
        parts.append(bytes(message.unavailable))
    if message.extra:
        parts += [
            key + b"\0" + _DOUBLE.pack(value)
            for key, value in sorted((k.encode(), v) for k, v in message.extra.items())
        ]
    if message.labels:
        parts += [
            key + b"\0" + value + b"\0"
            for key, value in sorted((k.encode(), v.encode()) for k, v in message.labels.items())
        ]
    parts += (message.catalogue.encode(), vin.encode())
    return zlib.crc32(b"".join(parts))
