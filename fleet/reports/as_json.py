"""A table as JSON, for programs: SI, moments with their zone, columns described."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from fleet.jsontext import dumped
from fleet.reports.columns import Column
from fleet.reports.report import CHUNK, Row
from fleet.reports.style import Style
from fleet.reports.table import Table


def described(column: Column) -> dict[str, str]:
    return {
        "name": column.name,
        "label": column.label,
        "kind": column.kind.value,
        "unit": column.si,
        "about": column.about,
    }


def head(table: Table) -> dict[str, Any]:
    period = table.ask.period
    return {
        "report": table.report.name,
        "title": table.report.title,
        "fleet_id": table.ask.fleet.slug,
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "days_of": period.zone,
        "time_zone": table.style.zone,
        "definition": table.report.definition,
        "settings": [
            {"name": one.name, "label": one.label, "value": value, "unit": one.si}
            for one, value in table.settings
        ],
        "columns": [described(column) for column in table.columns],
    }


def named(columns: Sequence[Column], row: Row, style: Style) -> dict[str, Any]:
    zone = ZoneInfo(style.zone)
    return {column.name: _value(column, value, zone) for column, value in zip(columns, row, strict=True)}


def totals(table: Table, sums: dict[str, Any]) -> dict[str, Any]:
    zone = ZoneInfo(table.style.zone)
    return {
        column.name: _value(column, sums.get(column.name), zone) for column in table.columns if column.adds_up
    }


def _value(column: Column, value: Any, zone: ZoneInfo) -> Any:
    match value:
        case datetime():
            return value.astimezone(zone).isoformat()
        case date():
            return value.isoformat()
    return value if column.words is None else column.words.get(value, value)


def write_json(table: Table, out: BinaryIO, progress: Callable[[int], None]) -> int:
    """One object: the head's fields, `rows`, `totals`."""
    body, rows = table.body(), 0
    out.write(dumped(head(table))[:-1] + b',"rows":[')
    for rows, row in enumerate(body, 1):
        out.write((b",\n" if rows > 1 else b"\n") + dumped(named(table.columns, row, table.style)))
        if not rows % CHUNK:
            progress(rows)
    out.write(b'\n],"totals":' + dumped(totals(table, body.totals)) + b"}\n")
    return rows
