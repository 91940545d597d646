"""The durable inbox: the SQL of taking records in and handing them to the drain. Set-based on both databases."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from django.db import IntegrityError, connection, transaction

from telemetry.frames import Arrival, Pending
from telemetry.sql import (
    PG_EPOCH_US,
    among,
    copy_in,
    epoch_us,
    marks,
    microseconds,
    moment,
    on_postgresql,
    read_all,
)

_COLUMNS = "device_id, vehicle_id, stream_id, sequence, time, received_at, due_at, payload"
_IDS_AT_ONCE = 10_000
_ROW = struct.Struct(">hiqiqiqiqiqiqiqi")


def insert(deliveries: Sequence[Sequence[Arrival]]) -> list[int]:
    """Put all arrivals in and commit; answers how many of each delivery were new."""
    if on_postgresql():
        return _insert_postgresql(deliveries)
    with transaction.atomic(), connection.cursor() as cursor:
        return [_insert_rows(cursor, arrivals) for arrivals in deliveries]


def _insert_rows(cursor: Any, arrivals: Sequence[Arrival]) -> int:
    rows = [
        (a.device_id, a.vehicle_id, a.stream_id, a.sequence, moment(a.time_us), received, received, a.payload)
        for a in arrivals
        for received in (moment(a.received_us),)
    ]
    if not rows:
        return 0
    cursor.executemany(
        f"INSERT INTO telemetry_frame ({_COLUMNS}) VALUES ({marks(8)}) ON CONFLICT DO NOTHING", rows
    )
    return int(cursor.rowcount)


def _insert_postgresql(deliveries: Sequence[Sequence[Arrival]]) -> list[int]:
    """One COPY; only when something was there already, a second one through a temporary table."""
    content: list[bytes] = []
    for arrivals in deliveries:
        for a in arrivals:
            received = a.received_us - PG_EPOCH_US
            content += (
                _ROW.pack(
                    8, 8, a.device_id, 8, a.vehicle_id, 8, a.stream_id, 8, a.sequence,
                    8, a.time_us - PG_EPOCH_US, 8, received, 8, received, len(a.payload),
                ),
                a.payload,
            )  # fmt: skip
    body = b"".join(content)
    try:
        # Alone in autocommit, COPY is its own transaction: no BEGIN, no COMMIT to wait for.
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            copy_in(f"telemetry_frame ({_COLUMNS})", body)
        return [len(arrivals) for arrivals in deliveries]
    except IntegrityError:
        return _insert_known(body, deliveries)


def _insert_known(body: bytes, deliveries: Sequence[Sequence[Arrival]]) -> list[int]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE arrivals ON COMMIT DROP AS "
            f"SELECT {_COLUMNS} FROM telemetry_frame WITH NO DATA"
        )
        copy_in(f"arrivals ({_COLUMNS})", body)
        cursor.execute(
            f"INSERT INTO telemetry_frame ({_COLUMNS}) SELECT {_COLUMNS} FROM arrivals "
            "ON CONFLICT DO NOTHING RETURNING device_id, stream_id, sequence"
        )
        new = set(cursor.fetchall())
        cursor.execute("DROP TABLE arrivals")
    counts = []
    for arrivals in deliveries:
        keys = {(a.device_id, a.stream_id, a.sequence) for a in arrivals}
        counts.append(len(keys & new))
        new -= keys
    return counts


def due_devices(shard: int, shards: int, now_us: int, limit: int) -> list[int]:
    """Devices of the shard's vehicles whose records wait to be worked."""
    rows = read_all(
        "SELECT DISTINCT device_id FROM (SELECT device_id FROM telemetry_frame "
        "WHERE due_at <= %s AND vehicle_id %% %s = %s ORDER BY id LIMIT %s) due",
        [moment(now_us), shards, shard, limit],
    )
    return [device for (device,) in rows]


def take(devices: Sequence[int], limit: int) -> list[Pending]:
    """What waits from these devices, due or not, in decoding order."""
    condition, ids = among("device_id", devices)
    rows = read_all(
        f"SELECT id, device_id, vehicle_id, stream_id, sequence, {epoch_us('time')}, {epoch_us('received_at')}, "
        f"payload FROM telemetry_frame WHERE {condition} "
        "ORDER BY device_id, stream_id, CASE WHEN stream_id = 0 THEN time END, sequence LIMIT %s",
        [*ids, limit],
    )
    return [pending(row) for row in rows]


def pending(row: tuple[Any, ...]) -> Pending:
    number, device, vehicle, stream, sequence, time, received, payload = row
    return Pending(
        number, device, vehicle, stream, sequence, microseconds(time), microseconds(received), payload
    )


def delete(ids: Sequence[int]) -> None:
    for some in _portions(ids):
        condition, params = among("id", some)
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM telemetry_frame WHERE {condition}", params)


def postpone(ids: Sequence[int], wait_us: int) -> None:
    """Let records after a gap rest until `wait_us` after they were received."""
    for some in _portions(ids):
        condition, params = among("id", some)
        with connection.cursor() as cursor:
            if on_postgresql():
                until = "received_at + %s * interval '1 microsecond'"
                query = f"UPDATE telemetry_frame SET due_at = {until} WHERE {condition} AND due_at < {until}"
                cursor.execute(query, [wait_us, *params, wait_us])
            else:
                rows = "SELECT id, received_at FROM telemetry_frame WHERE " + condition
                cursor.execute(rows, params)
                until_of = [
                    (moment(microseconds(received) + wait_us), i) for i, received in cursor.fetchall()
                ]
                cursor.executemany(
                    "UPDATE telemetry_frame SET due_at = %s WHERE id = %s AND due_at < %s",
                    [(until, number, until) for until, number in until_of],
                )


def _portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """SQLite takes a limited number of parameters."""
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ids[start : start + _IDS_AT_ONCE]


def put_off(device_id: int, until_us: int) -> None:
    """Let everything from a device rest."""
    with connection.cursor() as cursor:
        until = moment(until_us)
        cursor.execute("UPDATE telemetry_frame SET due_at = %s WHERE device_id = %s", [until, device_id])
