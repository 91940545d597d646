"""What a message carries, read once: its signals, and which further kinds of content it has.

Asking a message for its fields is the dearest step of the server's hot path, and cars send the same
few sets of fields again and again: what follows from the set alone is kept per set.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from google.protobuf.descriptor import FieldDescriptor

from edge.protocol.signals import BY_NUMBER
from edge.protocol.telemetry_pb2 import Telemetry

HEAD: Final = "dQQBIIQ"
"""timestamp, stream id, sequence, keyframe, omitted, state_crc, mask of signals: see checksum.py."""
_ALL_FIELDS: Final = tuple(Telemetry.DESCRIPTOR.fields)  # held, else protobuf makes new ones at every look
_SETS_KEPT: Final = 4096


@dataclass(frozen=True, slots=True)
class FieldSet:
    """All that one set of fields says, whatever their values."""

    first: int
    last: int
    numbers: tuple[int, ...]
    mask: int
    limits: tuple[tuple[float, float], ...]
    lists: bool
    """Has more than signals: unavailable, extra or labels."""
    head: struct.Struct


@lru_cache(_SETS_KEPT)
def _field_set(fields: tuple[FieldDescriptor, ...]) -> FieldSet:
    numbers = tuple(f.number for f in fields if f.number in BY_NUMBER)
    first = sum(f.number < min(BY_NUMBER) for f in fields)
    return FieldSet(
        first=first,
        last=first + len(numbers),
        numbers=numbers,
        mask=sum(1 << number for number in numbers),
        limits=tuple((BY_NUMBER[n].low, BY_NUMBER[n].high) for n in numbers),
        lists=any(f.name in {"unavailable", "extra", "labels"} for f in fields),
        head=struct.Struct(f"<{HEAD}{len(numbers)}d"),
    )


def signals_of(message: Telemetry) -> tuple[FieldSet, tuple[float, ...]]:
    """The set of fields, and the values of the signals in the order of `numbers`."""
    present = message.ListFields()
    if not present:
        return _field_set(()), ()
    fields, values = zip(*present)  # noqa: B905 - pairs; strict costs a tenth of this function
    known = _field_set(fields)
    return known, values[known.first : known.last]
