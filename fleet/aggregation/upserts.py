"""Sums stored by one statement, INSERT ... ON CONFLICT: what stands there already is written only where it differs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

_TYPES = {"driver_id": "text", "day": "date", "month": "date", "hour": "timestamptz", "minute": "timestamptz"}
"""Of keys on PostgreSQL; all other columns are whole numbers."""


@dataclass(frozen=True, slots=True)
class Target:
    """A table of sums. `zeros` are columns that somebody else keeps."""

    table: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    once: tuple[str, ...]
    """The unique ones of the keys."""
    zeros: tuple[str, ...] = ()

    def upsert(self, keys: str, columns: str, rest: str) -> str:
        """`keys` and `columns` are expressions, `rest` is from FROM on and needs a WHERE; a CTE stands before it."""
        nothing = "".join(", 0" for _ in self.zeros)
        names = ", ".join((*self.keys, *self.columns, *self.zeros))
        old = ", ".join(f"{self.table}.{name}" for name in self.columns)
        new = ", ".join(f"excluded.{name}" for name in self.columns)
        differs = "IS DISTINCT FROM" if connection.vendor == "postgresql" else "IS NOT"
        return (
            f"INSERT INTO {self.table} ({names}) SELECT {keys}, {columns}{nothing} {rest} "
            f"ON CONFLICT ({', '.join(self.once)}) DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in self.columns)
            + f" WHERE ({old}) {differs} ({new})"
        )


def run(statement: str, params: Sequence[Any]) -> int:
    """Answers how many rows it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int(cursor.rowcount)


def store(target: Target, rows: Sequence[Sequence[Any]]) -> None:
    """Rows of Python: the values of the keys, then of the columns."""
    if not rows:
        return
    names = (*target.keys, *target.columns)
    if connection.vendor != "postgresql":
        keys, columns = (", ".join(["%s"] * len(some)) for some in (target.keys, target.columns))
        with connection.cursor() as cursor:
            cursor.executemany(
                target.upsert(keys, columns, "WHERE true"), [[*map(_adapted, row)] for row in rows]
            )
        return
    keys, columns = (", ".join(f"v.{name}" for name in some) for some in (target.keys, target.columns))
    spec = ", ".join(f"{name} {_TYPES.get(name, 'bigint')}" for name in names)
    document = orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()
    run(target.upsert(keys, columns, f"FROM json_to_recordset(%s::json) AS v({spec}) WHERE true"), [document])


def _adapted(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
