"""Rows of a statement that querysets cannot say, streamed as a queryset's are; and lengths of time as SQL."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import FloatField, Func
from django.utils.dateparse import parse_date

from fleet.aggregation.days import bounds
from fleet.reports.columns import Column, Kind, Total
from fleet.reports.report import CHUNK, Ask, Order, Row

Statement = tuple[str, list[Any]]
_AGGREGATES = {Total.SUM: "sum", Total.MAX: "max", Total.MIN: "min"}


class Seconds(Func):
    """From the first moment to the second."""

    output_field = FloatField()

    template = "django_timestamp_diff(%(expressions)s) / 1000000.0"

    def __init__(self, begin: Any, end: Any) -> None:
        super().__init__(end, begin)

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        template = "EXTRACT(EPOCH FROM (%(expressions)s))::float8"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" - ")


@dataclass(frozen=True, slots=True)
class SqlSource:
    """`statement`: a SELECT for what is asked, its columns named as the report's are, and as `tie`, which makes every
    order complete."""

    statement: Callable[[Ask], Statement]
    tie: tuple[str, ...]

    def count(self, columns: Sequence[Column], ask: Ask) -> int:
        text, params = self.statement(ask)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM ({text}) r", params)
            return int(cursor.fetchone()[0])

    def rows(
        self, columns: Sequence[Column], ask: Ask, order: Order, part: slice | None = None
    ) -> Iterator[Row]:
        text, params = self.statement(ask)
        sign = "DESC" if order.down else "ASC"
        by = [f'"{order.column}" {sign} NULLS LAST', *(f"{name} {sign}" for name in self.tie)]
        text = f"SELECT {_names(columns)} FROM ({text}) r ORDER BY {', '.join(by)}"
        if part:
            text, params = f"{text} LIMIT %s OFFSET %s", [*params, part.stop - part.start, part.start]
        return _streamed(text, params, columns)

    def totals(self, columns: Sequence[Column], ask: Ask) -> dict[str, Any]:
        wanted = [one for one in columns if isinstance(one.total, Total) and one.adds_up]
        text, params = self.statement(ask)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(map(_sum, wanted))} FROM ({text}) r", params)
            return dict(zip((one.name for one in wanted), cursor.fetchone(), strict=True))


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(f'"{column.name}"' for column in columns)


def _sum(column: Column) -> str:
    assert isinstance(column.total, Total)
    found = f'{_AGGREGATES[column.total]}("{column.name}")'
    return f"CAST({found} AS bigint)" if column.kind is Kind.WHOLE else found


def _streamed(text: str, params: list[Any], columns: Sequence[Column]) -> Iterator[Row]:
    """Through a cursor of the server's, but where a pooler cannot keep one."""
    pooled = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    told = _told_by_sqlite(columns) if connection.vendor == "sqlite" else []
    with connection.cursor() if pooled else connection.chunked_cursor() as cursor:
        cursor.execute(text, params)
        while rows := cursor.fetchmany(CHUNK):
            for row in rows:
                yield _read(row, told) if told else row


def _told_by_sqlite(columns: Sequence[Column]) -> list[tuple[int, Callable[[Any], Any]]]:
    """What it keeps as text and numbers, by place."""
    operations: Any = connection.ops
    readers: dict[Kind, Callable[[Any], Any]] = {
        Kind.MOMENT: lambda text: operations.convert_datetimefield_value(text, None, connection),
        Kind.DAY: parse_date,
        Kind.FLAG: bool,
    }
    return [(place, readers[one.kind]) for place, one in enumerate(columns) if one.kind in readers]


def _read(row: Row, readers: list[tuple[int, Callable[[Any], Any]]]) -> Row:
    found = list(row)
    for place, reader in readers:
        if found[place] is not None:
            found[place] = reader(found[place])
    return found


def moment(value: datetime) -> Any:
    """As a parameter."""
    return connection.ops.adapt_datetimefield_value(value)


def opens_closes(ask: Ask) -> tuple[datetime, datetime]:
    """The period's first moment, and the first after it."""
    period = ask.period
    return bounds(period.zone, period.first)[0], bounds(period.zone, period.last)[1]


def among(column: str, values: Sequence[Any] | None) -> Statement:
    """` AND column IN (…)`; nothing where all are asked for."""
    if values is None:
        return "", []
    if not values:
        return " AND 1 = 0", []
    return f" AND {column} IN ({', '.join(['%s'] * len(values))})", list(values)
