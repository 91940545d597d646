"""A table as CSV: units and time zone in the head, separators as the reader's spreadsheet wants them."""

import csv
from collections.abc import Callable
from datetime import datetime
from io import TextIOWrapper
from typing import Any, BinaryIO

from fleet.models import Dialect
from fleet.pages.csvfile import plain
from fleet.reports.columns import Column
from fleet.reports.report import CHUNK, Row
from fleet.reports.style import Style
from fleet.reports.table import Table

_SEPARATORS = {Dialect.COMMA: ",", Dialect.SEMICOLON: ";", Dialect.TAB: "\t"}


def write_csv(table: Table, out: BinaryIO, progress: Callable[[int], None]) -> int:
    style, rows = table.style, 0
    # Spreadsheets take a file without the mark for whatever their system's encoding is.
    text = TextIOWrapper(out, "utf-8" if style.dialect == Dialect.COMMA else "utf-8-sig", newline="")
    try:
        writer = csv.writer(text, delimiter=_SEPARATORS[Dialect(style.dialect)])
        writer.writerow([style.head(column) for column in table.columns])
        body = table.body()
        for rows, row in enumerate(body, 1):
            writer.writerow(_cells(table.columns, row, style))
            if not rows % CHUNK:
                progress(rows)
        if any(column.adds_up for column in table.columns):
            writer.writerow(_totals(table, body.totals))
    finally:
        text.flush()
        text.detach()
    return rows


def _cells(columns: tuple[Column, ...], row: Row, style: Style) -> list[str]:
    return [
        cell(style.value(column, value), style, column) for column, value in zip(columns, row, strict=True)
    ]


def _totals(table: Table, totals: dict[str, Any]) -> list[str]:
    cells = [
        cell(table.style.value(column, totals.get(column.name)), table.style, column)
        if column.adds_up
        else ""
        for column in table.columns
    ]
    if not table.columns[0].adds_up:
        cells[0] = "Total"
    return cells


def cell(value: Any, style: Style, column: Column) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case float():
            text = str(value) if column.loose else f"{value:.{style.digits(column)}f}"
            return text.replace(".", ",") if style.dialect == Dialect.SEMICOLON else text
        case str():
            return plain(value)
    return str(value)
