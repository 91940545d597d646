"""The streams' rows, read and written as sets: where each reconstruction stands.

Plain rows instead of model instances: a drain of short passes handles thousands of streams a second, and an
instance costs more than its reconstruction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.utils import timezone

from devices.models import Device
from edge.protocol.reconstructor import Reconstructor
from fleet.models import Vehicle
from telemetry.frames import Pending, to_us
from telemetry.models import Gap, HeldFrame
from telemetry.sql import among, epoch_us, microseconds, on_postgresql, read_all, write_rows

Key = tuple[int, int]
"""Device and stream."""


@dataclass(slots=True)
class StreamRow:
    """One row of telemetry_stream; `decoder` is its JSON until somebody needs it."""

    device_id: int
    stream_id: int
    vehicle_id: int
    pk: int = 0
    """0: not stored yet."""
    next_sequence: int = 1
    decoder: str = "{}"
    last_us: int | None = None
    wants_keyframe: bool = False
    records: int = 0
    repeated: int = 0
    incomplete: int = 0
    gaps: list[Gap] = field(default_factory=list)
    held: list[HeldFrame] = field(default_factory=list)

    @property
    def key(self) -> Key:
        return self.device_id, self.stream_id

    def restored(self) -> Reconstructor:
        return restored(orjson.loads(self.decoder))

    def keep(self, decoder: Reconstructor) -> None:
        self.decoder = orjson.dumps(decoder.dump()).decode()


def restored(dumped: dict[str, Any]) -> Reconstructor:
    return Reconstructor.restore(dumped) if dumped else Reconstructor()


_READ = (
    "s.device_id", "s.stream_id", "s.vehicle_id", "s.id", "s.next_sequence", "CAST(s.decoder AS text)",
    "{last}", "s.wants_keyframe", "s.records", "s.repeated", "s.incomplete",
)  # fmt: skip


def load(frames: dict[Key, list[Pending]]) -> dict[Key, StreamRow]:
    """The rows of these streams, locked; empty ones for new streams of devices that still exist.

    The lock matters when a device has just changed its vehicle: its records may then lie in two shards.
    """
    devices, device_ids = among("s.device_id", {device for device, _ in frames})
    streams, stream_ids = among("s.stream_id", {stream for _, stream in frames})
    found = read_all(
        f"SELECT {', '.join(_READ).format(last=epoch_us('s.last_time'))} FROM telemetry_stream s "
        f"WHERE {devices} AND {streams}" + (" ORDER BY s.id FOR UPDATE" if on_postgresql() else ""),
        [*device_ids, *stream_ids],
    )
    rows = {}
    for device, stream, *rest in found:
        if (device, stream) in frames:
            row = rows[device, stream] = StreamRow(device, stream, *rest)
            row.last_us = None if row.last_us is None else microseconds(row.last_us)
            row.wants_keyframe = bool(row.wants_keyframe)
    rows |= _started({key: members[0].vehicle_id for key, members in frames.items() if key not in rows})
    _fetch_unfinished([row for key, row in rows.items() if _is_unfinished(row, frames[key])])
    return rows


def _started(vehicles: dict[Key, int]) -> dict[Key, StreamRow]:
    """A device or vehicle may be deleted while its last records are on their way: those have no home any more."""
    if not vehicles:
        return {}
    devices = set(Device.objects.filter(pk__in={key[0] for key in vehicles}).values_list("pk", flat=True))
    homes = set(Vehicle.objects.filter(pk__in=set(vehicles.values())).values_list("pk", flat=True))
    return {
        key: StreamRow(*key, vehicle)
        for key, vehicle in vehicles.items()
        if key[0] in devices and vehicle in homes
    }


def _is_unfinished(row: StreamRow, members: Sequence[Pending]) -> bool:
    """Will gaps or held records be looked at? A head that lost its place, or a record from behind it."""
    behind = members[0].sequence < row.next_sequence
    return row.pk != 0 and row.stream_id != 0 and (row.wants_keyframe or behind)


def _fetch_unfinished(rows: Sequence[StreamRow]) -> None:
    """Gaps and held records of all these streams in two queries."""
    by_id = {row.pk: row for row in rows}
    if not by_id:
        return
    for gap in Gap.objects.filter(stream__in=by_id).order_by("first"):
        by_id[gap.stream_id].gaps.append(gap)
    for held in HeldFrame.objects.filter(stream__in=by_id).order_by("sequence"):
        by_id[held.stream_id].held.append(held)


_KEY = ("device_id", "stream_id", "vehicle_id", "created_at")
_SAVED = (
    "next_sequence", "decoder", "last_time", "wants_keyframe", "records", "repeated", "incomplete", "updated_at",
)  # fmt: skip
_TYPES = (
    "bigint", "bigint", "bigint", "timestamptz", "bigint", "jsonb", "timestamptz", "boolean", "bigint", "bigint",
    "bigint", "timestamptz",
)  # fmt: skip


def save(rows: Sequence[StreamRow]) -> None:
    """One statement for all rows, new ones included."""
    now = to_us(timezone.now())
    write_rows(
        f"INSERT INTO telemetry_stream ({', '.join((*_KEY, *_SAVED))}) {{values}} "
        "ON CONFLICT (device_id, stream_id) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in _SAVED),
        _TYPES,
        [
            (
                row.device_id, row.stream_id, row.vehicle_id, now, row.next_sequence, row.decoder, row.last_us,
                row.wants_keyframe, row.records, row.repeated, row.incomplete, now,
            )
            for row in rows
        ],
    )  # fmt: skip


def save_one(row: StreamRow) -> None:
    """A new row that something is about to point at."""
    save([row])
    [(row.pk,)] = read_all(
        "SELECT id FROM telemetry_stream WHERE device_id = %s AND stream_id = %s",
        [row.device_id, row.stream_id],
    )
