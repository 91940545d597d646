"""A table as a spreadsheet: real dates and numbers, the head frozen, totals at the end, a second sheet about it."""

from collections.abc import Callable
from datetime import date, datetime
from textwrap import wrap
from typing import Any, BinaryIO

import xlsxwriter

from fleet.reports.columns import Column, Kind
from fleet.reports.report import CHUNK, Row
from fleet.reports.style import Style
from fleet.reports.table import Table

SHEET_ROWS = 1_048_576 - 2
"""Beside the head and the totals."""
_LEFT: dict[str, Any] = {"align": "left", "indent": 1}
_WIDTHS = {Kind.TEXT: 19, Kind.MOMENT: 20, Kind.DAY: 12, Kind.FLAG: 12}
_ABOUT, _LINE_PT = 90, 15
"""Characters in a line about the table, and how high it is: nobody's program makes room for the others by itself."""


def write_xlsx(table: Table, out: BinaryIO, progress: Callable[[int], None]) -> int:
    # Rows go to a temporary file one by one; texts are not collected into a table of their own.
    book = xlsxwriter.Workbook(
        out,
        {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    book.set_properties({"title": table.report.title, "company": table.ask.fleet.name, "comments": "Convoy"})
    sheet = _Sheet(book, table)
    sheet.head()
    body, rows = table.body(), 0
    for rows, row in enumerate(body, 1):
        sheet.line(rows, row)
        if not rows % CHUNK:
            progress(rows)
    sheet.end(rows, body.totals)
    _about(book, table)
    book.close()
    return rows


class _Sheet:
    def __init__(self, book: Any, table: Table) -> None:
        self.table, self.style, self.columns = table, table.style, table.columns
        self.sheet = book.add_worksheet(table.report.title[:31])
        self.formats = [book.add_format(_shape(one, self.style)) for one in self.columns]
        bold = {"bold": True, "top": 1}
        self.sums = [book.add_format(_shape(one, self.style) | bold) for one in self.columns]
        grey = {"bold": True, "bg_color": "#E8EDF3", "bottom": 1, "valign": "top", "text_wrap": True}
        self.heads = [
            book.add_format(grey | ({"align": "right"} if one.is_number else _LEFT)) for one in self.columns
        ]

    def head(self) -> None:
        for place, column in enumerate(self.columns):
            width = 14 if column.words else _WIDTHS.get(column.kind, 14)
            self.sheet.set_column(place, place, width, self.formats[place])
        for place, column in enumerate(self.columns):
            self.sheet.write_string(0, place, _title(column, self.style), self.heads[place])
        self.sheet.set_row(0, 32)
        self.sheet.freeze_panes(1, 0)
        _on_paper(self.sheet)
        self.sheet.repeat_rows(0)

    def line(self, number: int, row: Row) -> None:
        for place, column in enumerate(self.columns):
            self._put(number, place, _cell(column, row[place], self.style), self.formats[place])

    def end(self, rows: int, totals: dict[str, Any]) -> None:
        self.sheet.autofilter(0, 0, max(rows, 1), len(self.columns) - 1)
        if not rows or not any(column.adds_up for column in self.columns):
            return
        for place, column in enumerate(self.columns):
            shown = _cell(column, totals.get(column.name), self.style) if column.adds_up else None
            if place == 0 and not column.adds_up:
                shown = "Total"
            self._put(rows + 1, place, shown, self.sums[place])

    def _put(self, row: int, place: int, value: Any, shape: Any) -> None:
        match value:
            case None:
                self.sheet.write_blank(row, place, None, shape)
            case datetime() | date():
                self.sheet.write_datetime(row, place, value, shape)
            case str():
                self.sheet.write_string(row, place, value, shape)
            case _:
                self.sheet.write_number(row, place, value, shape)


def _title(column: Column, style: Style) -> str:
    # Hours are shown as 12:30, shares as 12 %: their unit is in the cell.
    return column.label if column.kind in {Kind.DURATION, Kind.SHARE} else style.head(column)


def _shape(column: Column, style: Style) -> dict[str, Any]:
    """Numbers stand on the right by themselves; dates would too, and a text would touch the number before it."""
    return {"num_format": _pattern(column, style)} | ({} if column.is_number else _LEFT)


def _pattern(column: Column, style: Style) -> str:
    match column.kind:
        case Kind.MOMENT:
            return "yyyy-mm-dd hh:mm:ss"
        case Kind.DAY:
            return "yyyy-mm-dd"
        case Kind.DURATION:
            return "[h]:mm:ss"
    if not column.is_number:
        return "@"
    if column.loose:
        return "General"
    digits = style.digits(column)
    return "#,##0" + ("." + "0" * digits if digits else "") + (" %" if column.kind is Kind.SHARE else "")


def _cell(column: Column, value: Any, style: Style) -> Any:
    """A spreadsheet counts days and knows no zones: times are the reader's clock's, durations parts of a day."""
    if column.kind is Kind.DURATION:
        return None if value is None else value / 86_400
    if column.kind is Kind.SHARE:
        return value  # the pattern multiplies
    shown = style.value(column, value)
    return shown.replace(tzinfo=None) if isinstance(shown, datetime) else shown


def _on_paper(sheet: Any) -> None:
    """A4 across, all columns on a page, as large as they fit."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.set_margins(left=0.3, right=0.3, top=0.4, bottom=0.6)
    sheet.set_footer("&L&A&RPage &P of &N")


def _about(book: Any, table: Table) -> None:
    sheet = book.add_worksheet("About")
    bold, wrapped = (
        book.add_format({"valign": "top"} | more) for more in ({"bold": True}, {"text_wrap": True})
    )
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, _ABOUT)
    _on_paper(sheet)
    told = [(column.label, column.about) for column in table.columns if column.about]
    for row, (name, text) in enumerate([*table.facts(), *told]):
        sheet.set_row(row, _LINE_PT * max(1, len(wrap(text, _ABOUT - 10))))
        sheet.write_string(row, 0, name, bold)
        sheet.write_string(row, 1, text, wrapped)
