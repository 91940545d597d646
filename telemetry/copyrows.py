"""History rows in PostgreSQL's binary COPY format, made column by column with numpy: a quarter of the cost."""

import json
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from edge.protocol.signals import SIGNALS
from telemetry.frames import Record
from telemetry.sql import PG_EPOCH_US

_NUMBERS = tuple(signal.number for signal in SIGNALS)
_FIXED = (
    ("vehicle_id", ">i8"), ("device_id", ">i8"), ("time", ">i8"), ("received_at", ">i8"),
    ("stream_id", ">i8"), ("sequence", ">i8"), ("quality", ">i2"), ("sent", ">i8"),
)  # fmt: skip
_COLUMNS = len(_FIXED) + len(_NUMBERS) + 2
_NULL = -1


def pack(records: Sequence[Record]) -> bytes:
    """Rows of `telemetry_data` in the order of store's columns and of `records`."""
    shapes: dict[tuple[int, bool], list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        mask = 0
        for number in record.signals:
            mask |= 1 << number
        shapes[mask, record.extra is None and record.decoder is None].append(place)
    packed = [b""] * len(records)
    for (mask, plain), places in shapes.items():
        rows = _pack_shape(mask, plain, [records[place] for place in places])
        for place, row in zip(places, rows, strict=True):
            packed[place] = row
    return b"".join(packed)


def _pack_shape(mask: int, plain: bool, records: list[Record]) -> Iterator[bytes]:
    layout, constants = _layout(mask, plain)
    rows = np.empty(len(records), layout)
    for name, value in constants:
        rows[name] = value
    for (name, _), column in zip(_FIXED, zip(*(record[:8] for record in records), strict=True), strict=True):
        rows[name] = column
    rows["time"] -= PG_EPOCH_US
    rows["received_at"] -= PG_EPOCH_US
    for number in _NUMBERS:
        if mask >> number & 1:
            rows[f"s{number}"] = [record.signals[number] for record in records]
    size, content = layout.itemsize, rows.tobytes()
    for place, record in enumerate(records):
        row = content[place * size : (place + 1) * size]
        yield row if plain else row + _packed_json(record.extra) + _packed_json(record.decoder)


@lru_cache(1024)
def _layout(mask: int, plain: bool) -> tuple[np.dtype[Any], tuple[tuple[str, int], ...]]:
    """A row of this shape: each value behind its length, a null as the length -1."""
    fields: list[tuple[str, str]] = [("columns", ">i2")]
    constants: list[tuple[str, int]] = [("columns", _COLUMNS)]

    def add(name: str, kind: str | None) -> None:
        fields.append((f"{name}_length", ">i4"))
        constants.append((f"{name}_length", _NULL if kind is None else np.dtype(kind).itemsize))
        if kind is not None:
            fields.append((name, kind))

    for name, kind in _FIXED:
        add(name, kind)
    for number in _NUMBERS:
        add(f"s{number}", ">f8" if mask >> number & 1 else None)
    if plain:
        add("extra", None)
        add("decoder", None)
    return np.dtype(fields), tuple(constants)


def _packed_json(content: dict[str, Any] | None) -> bytes:
    """jsonb in binary: a version byte, then text."""
    if content is None:
        return struct.pack(">i", _NULL)
    text = json.dumps(content).encode()
    return struct.pack(">ib", len(text) + 1, 1) + text
