"""Sums stored by one statement: INSERT ... SELECT, and what stands there already is written only where it differs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection


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
