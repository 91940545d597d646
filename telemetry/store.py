"""The one writer of history: `telemetry_data` and the day's compression counts. Call inside the drain's transaction."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from django.db import connection

from edge.protocol.signals import SIGNALS
from telemetry import copyrows
from telemetry.frames import Record, from_us
from telemetry.sql import (
    copy_in,
    epoch_us,
    marks,
    microseconds,
    moment,
    on_postgresql,
    read_all,
    write_rows,
)

_FIXED = ("vehicle_id", "device_id", "time", "received_at", "stream_id", "sequence", "quality", "sent")
_SIGNAL_COLUMNS = tuple(signal.column for signal in SIGNALS)
_NUMBERS = tuple(signal.number for signal in SIGNALS)
_ALL = (*_FIXED, *_SIGNAL_COLUMNS, "extra", "decoder")
_COLUMNS = ", ".join(f'"{name}"' for name in _ALL)

_KEYS_AT_ONCE = 1_000
_PAGE = 500
Key = tuple[int, int, int, int]
"""vehicle, time in microseconds, stream, sequence: what makes a record one."""


def key_of(record: Record) -> Key:
    return record.vehicle_id, record.time_us, record.stream_id, record.sequence


def write(records: Sequence[Record]) -> None:
    """Add rows. A row that is there already is an error: the drain must know what it stores."""
    if not records:
        return
    if on_postgresql():
        copy_in(f"telemetry_data ({_COLUMNS})", copyrows.pack(records))
    else:
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO telemetry_data ({_COLUMNS}) VALUES ({marks(len(_ALL))})",
                [_row(record) for record in records],
            )


def replace(records: Sequence[Record]) -> None:
    """Put completed records where incomplete ones were."""
    if records:
        with connection.cursor() as cursor:
            cursor.executemany(
                "DELETE FROM telemetry_data WHERE vehicle_id = %s AND time = %s "
                "AND stream_id = %s AND sequence = %s",
                [(r.vehicle_id, moment(r.time_us), r.stream_id, r.sequence) for r in records],
            )
        write(records)


def _row(record: Record) -> tuple[Any, ...]:
    return (
        record.vehicle_id,
        record.device_id,
        moment(record.time_us),
        moment(record.received_us),
        record.stream_id,
        record.sequence,
        record.quality,
        record.sent,
        *map(record.signals.get, _NUMBERS),
        None if record.extra is None else json.dumps(record.extra),
        None if record.decoder is None else json.dumps(record.decoder),
    )


def stored_among(keys: Iterable[Key]) -> set[Key]:
    """Which of these records history holds already. One query per thousand."""
    found: set[Key] = set()
    wanted = sorted(set(keys), key=lambda key: key[1])
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        some = wanted[start : start + _KEYS_AT_ONCE]
        listed = ", ".join(["(%s, %s, %s, %s)"] * len(some))
        rows = read_all(
            f"SELECT vehicle_id, {epoch_us('time')}, stream_id, sequence FROM telemetry_data "
            f"WHERE time BETWEEN %s AND %s AND (vehicle_id, time, stream_id, sequence) IN (VALUES {listed})",
            [
                moment(some[0][1]),
                moment(some[-1][1]),
                *(
                    value
                    for v, time_us, stream, number in some
                    for value in (v, moment(time_us), stream, number)
                ),
            ],
        )
        found |= {(v, microseconds(time), stream, number) for v, time, stream, number in rows}
    return found


_UNVERIFIED = (
    f"SELECT {_COLUMNS} FROM telemetry_data WHERE vehicle_id = %s AND device_id = %s AND stream_id = 0 "
)


def unverified_before(vehicle_id: int, device_id: int, time_us: int) -> Record | None:
    """The last record without a stream before this moment."""
    query = f"{_UNVERIFIED} AND time < %s ORDER BY time DESC, sequence DESC LIMIT 1"
    with connection.cursor() as cursor:
        cursor.execute(query, [vehicle_id, device_id, moment(time_us)])
        row = cursor.fetchone()
        return _record(row) if row else None


def unverified_since(vehicle_id: int, device_id: int, time_us: int) -> Iterator[Record]:
    """Records without a stream at or after this moment, in order; read page by page, as far as they are taken."""
    query = f"{_UNVERIFIED} AND (time, sequence) > (%s, %s) ORDER BY time, sequence LIMIT {_PAGE}"
    place = moment(time_us), -1
    while True:
        with connection.cursor() as cursor:
            cursor.execute(query, [vehicle_id, device_id, *place])
            rows = cursor.fetchall()
        yield from (page := [_record(row) for row in rows])
        if len(page) < _PAGE:
            return
        place = moment(page[-1].time_us), page[-1].sequence


def records_at(vehicle_id: int, time_us: int) -> list[Record]:
    """All records of a vehicle at one moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM telemetry_data WHERE vehicle_id = %s AND time = %s",
            [vehicle_id, moment(time_us)],
        )
        return [_record(row) for row in cursor.fetchall()]


def _record(row: tuple[Any, ...]) -> Record:
    fixed, signals = row[: len(_FIXED)], row[len(_FIXED) : -2]
    vehicle, device, time, received, stream, sequence, quality, sent = fixed
    return Record(
        vehicle,
        device,
        microseconds(time),
        microseconds(received),
        stream,
        sequence,
        quality,
        sent,
        {n: v for n, v in zip(_NUMBERS, signals, strict=True) if v is not None},
        json_of(row[-2]),
        json_of(row[-1]),
    )


def json_of(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def count_compression(counts: dict[tuple[int, str], list[int]]) -> None:
    """Add to the day's totals: (vehicle, ISO day) to [records, transmitted, skipped, bytes]."""
    names = ("records", "transmitted_readings", "skipped_readings", "bytes_received")
    sums = ", ".join(f"{name} = compression_stats.{name} + excluded.{name}" for name in names)
    write_rows(
        f"INSERT INTO compression_stats (vehicle_id, day, {', '.join(names)}) "
        f"{{values}} ON CONFLICT (vehicle_id, day) DO UPDATE SET {sums}",
        ("bigint", "date", *["bigint"] * len(names)),
        [(vehicle, day, *totals) for (vehicle, day), totals in sorted(counts.items())],
    )


def day_of(time_us: int) -> str:
    return _iso_day(time_us // 86_400_000_000)


@lru_cache(1024)
def _iso_day(day: int) -> str:
    return from_us(day * 86_400_000_000).date().isoformat()
