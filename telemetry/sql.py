"""What raw SQL needs on both databases: moments as parameters, moments read back, placeholders."""

from datetime import UTC, datetime
from typing import Any

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
    """A timestamp column as raw cursors give it: aware on PostgreSQL, naive UTC on SQLite."""
    assert isinstance(value, datetime)
    return to_us(value if value.tzinfo else value.replace(tzinfo=UTC))


def marks(count: int) -> str:
    return ", ".join(["%s"] * count)


def copy_in(target: str, rows: bytes) -> None:
    """COPY packed binary rows into `table (columns)`. PostgreSQL only; raises Django's database errors."""
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {target} FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.write(b"".join((_COPY_HEAD, rows, _COPY_TAIL)))
