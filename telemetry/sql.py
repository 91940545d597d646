"""What raw SQL needs on both databases: moments as parameters, moments read back, placeholders."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import lru_cache
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


def among(column: str, ids: Collection[int]) -> tuple[str, list[Any]]:
    """A condition and its parameters: is the column one of these? One parameter on PostgreSQL, however many ids."""
    if on_postgresql():
        # The text of an array: psycopg would write a list in Python, an element at a time.
        return f"{column} = ANY(%s::bigint[])", ["{" + ",".join(map(str, ids)) + "}"]
    return f"{column} IN ({marks(len(ids))})", [*ids]


def write_rows(statement: str, types: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement for all rows, which stand where it says {values}; does nothing without rows.

    Values of type timestamptz are microseconds. PostgreSQL takes all rows as one JSON document.
    """
    if not rows:
        return
    if not on_postgresql():
        moments = [i for i, kind in enumerate(types) if kind == "timestamptz"]
        with connection.cursor() as cursor:
            cursor.executemany(
                statement.replace("{values}", f"VALUES ({marks(len(types))})"),
                [tuple(_moments_in(row, moments)) for row in rows],
            )
        return
    names, unpacked = _unpacking(types)
    document = orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        psycopg.Cursor(connection.connection).execute(statement.replace("{values}", unpacked), [document])


def _moments_in(row: tuple[Any, ...], places: Sequence[int]) -> list[Any]:
    changed = list(row)
    for place in places:
        changed[place] = None if row[place] is None else moment(row[place])
    return changed


_IN_JSON = {"jsonb": "text", "timestamptz": "bigint"}


@lru_cache(64)
def _unpacking(types: tuple[str, ...]) -> tuple[list[str], str]:
    """The names of a row's values in the document, and the SELECT that gives them their types."""
    names = [f"c{number}" for number in range(len(types))]
    spec = ", ".join(f"{name} {_IN_JSON.get(kind, kind)}" for name, kind in zip(names, types, strict=True))
    columns = ", ".join(
        f"timestamptz 'epoch' + {name} * interval '1 microsecond'"
        if kind == "timestamptz"
        else f"{name}::{kind}"
        for name, kind in zip(names, types, strict=True)
    )
    return names, f"SELECT {columns} FROM json_to_recordset(%s::json) AS v({spec})"


def copy_in(target: str, rows: bytes) -> None:
    """COPY packed binary rows into `table (columns)`. PostgreSQL only; raises Django's database errors."""
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {target} FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.write(b"".join((_COPY_HEAD, rows, _COPY_TAIL)))
