"""What raw SQL needs on both databases: moments as parameters, moments read back, placeholders."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
from django.db import connection

from telemetry.frames import from_us, to_us

PG_EPOCH_US = 946_684_800_000_000
"""PostgreSQL counts binary timestamps from 2000-01-01."""
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
_COPY_TAIL = b"\xff\xff"


def on_postgresql() -> bool:
    return bool(connection.vendor == "postgresql")


def moment(microseconds: int) -> Any:
    """A parameter for a timestamp column."""
    return connection.ops.adapt_datetimefield_value(from_us(microseconds))


def microseconds(value: Any) -> int:
    """A timestamp column as raw cursors give it: aware on PostgreSQL, naive UTC on SQLite; or `epoch_us`."""
    if isinstance(value, int):
        return value
    assert isinstance(value, datetime)
    return to_us(value if value.tzinfo else value.replace(tzinfo=UTC))


def epoch_us(column: str) -> str:
    """A timestamp column to be read by `microseconds`, without a datetime on the way where that is possible."""
    return f"(extract(epoch FROM {column}) * 1000000)::bigint" if on_postgresql() else column


def read_all(query: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query; on PostgreSQL in binary, which is cheaper for bytea and numbers."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        if on_postgresql():
            # Django's own cursor binds on the client, which excludes binary results.
            cursor = psycopg.Cursor(connection.connection)
            cursor.format = psycopg.pq.Format.BINARY
            return cursor.execute(query, params).fetchall()
        with connection.cursor() as plain:
            plain.execute(query, params)
            rows: list[tuple[Any, ...]] = plain.fetchall()
            return rows


def marks(count: int) -> str:
    return ", ".join(["%s"] * count)


def values(types: Sequence[str]) -> str:
    """What follows the column list of an INSERT of many rows; see `write_rows`.

    PostgreSQL takes one JSON document: psycopg writes arrays in Python, an element at a time.
    """
    if on_postgresql():
        columns = ", ".join(f"c{i}::{kind}" for i, kind in enumerate(types))
        spec = ", ".join(f"c{i} {_ARRAY_TYPES.get(kind, kind)}" for i, kind in enumerate(types))
        return f"SELECT {columns} FROM json_to_recordset(%s::json) AS v({spec})"
    return f"VALUES ({marks(len(types))})"


_ARRAY_TYPES = {"jsonb": "text"}


def write_rows(statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement built with `values` for all rows; does nothing without rows."""
    if not rows:
        return
    if not on_postgresql():
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)
        return
    names = [f"c{i}" for i in range(len(rows[0]))]
    document = orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        psycopg.Cursor(connection.connection).execute(statement, [document])


def copy_in(target: str, rows: bytes) -> None:
    """COPY packed binary rows into `table (columns)`. PostgreSQL only; raises Django's database errors."""
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {target} FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.write(b"".join((_COPY_HEAD, rows, _COPY_TAIL)))
