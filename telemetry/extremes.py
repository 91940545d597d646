"""The lowest and highest value of every slice of a long period, found by the database: a peak is never missed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F, QuerySet

from edge.protocol.signals import BY_NAME
from telemetry.frames import to_us
from telemetry.furthersql import column_of
from telemetry.models import TelemetryRecord
from telemetry.sql import microseconds, on_postgresql


class Span(NamedTuple):
    begin: datetime
    end: datetime
    """Excluded."""


class Extreme(NamedTuple):
    type: str
    time_us: int
    value: float
    sent: bool


def extremes(
    rows: "QuerySet[TelemetryRecord]", span: Span, types: Sequence[str], slices: int
) -> Iterator[Extreme]:
    """Of `rows`, which all lie in `span`: per type and slice the two. In no order; one pass over the rows on
    PostgreSQL, two a type on SQLite."""
    values = {
        f"v{place}": F(column) if isinstance(column := column_of(name), str) else column
        for place, name in enumerate(types)
    }
    query, params = (
        rows.order_by().annotate(**values).values_list("time", "sent", *values).query.sql_with_params()
    )
    begin_s, seconds = to_us(span.begin) / 1e6, (span.end - span.begin).total_seconds()
    finder = _on_postgresql if on_postgresql() else _on_sqlite
    for place, time_us, value, sent in finder(query, params, len(types), (begin_s, seconds / slices)):
        signal = BY_NAME.get(types[place])
        yield Extreme(types[place], time_us, value, signal is None or bool(sent >> signal.number & 1))


_Found = Iterator[tuple[int, int, float, int]]
"""Which type, when, its value, the record's `sent`."""


def _on_postgresql(query: str, params: Sequence[Any], types: int, slices: tuple[float, float]) -> _Found:
    """Arrays are compared element by element: the least of [value, time, sent] is the row of the least value."""
    corner = "ARRAY[v{n}, extract(epoch FROM time)::float8, sent::float8]"
    asked = ", ".join(
        f"{kind}({corner.format(n=n)}) FILTER (WHERE v{n} IS NOT NULL)"
        for n in range(types)
        for kind in ("min", "max")
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {asked} FROM ({query}) AS r "
            "GROUP BY floor((extract(epoch FROM time)::float8 - %s) / %s)",
            [*params, *slices],
        )
        for row in cursor:
            for place, found in enumerate(row):
                if found is not None:
                    value, time, sent = found
                    yield place // 2, round(time * 1_000_000), value, int(sent)


def _on_sqlite(query: str, params: Sequence[Any], types: int, slices: tuple[float, float]) -> _Found:
    """Columns beside a lone min() or max() come from the row that holds it."""
    days = slices[0] / 86_400 + 2_440_587.5, slices[1] / 86_400
    with connection.cursor() as cursor:
        for place in range(types):
            for kind in ("min", "max"):
                cursor.execute(
                    f"SELECT time, {kind}(v{place}), sent FROM ({query}) WHERE v{place} IS NOT NULL "
                    "GROUP BY CAST((julianday(time) - %s) / %s AS INTEGER)",
                    [*params, *days],
                )
                for time, value, sent in cursor:
                    yield place, microseconds(time), value, sent
