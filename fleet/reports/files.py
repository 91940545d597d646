"""A table as a file: one writer for each format, each of them bounded in memory however many rows there are."""

from collections.abc import Callable
from typing import BinaryIO

from fleet.models import ReportFormat
from fleet.reports.as_csv import write_csv
from fleet.reports.as_json import write_json
from fleet.reports.as_pdf import write_pdf
from fleet.reports.as_xlsx import SHEET_ROWS, write_xlsx
from fleet.reports.table import Table

Progress = Callable[[int], None]
"""Told now and then how many rows are written; what it raises ends the writing."""

MEDIA_TYPES = {
    ReportFormat.CSV: "text/csv; charset=utf-8",
    ReportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ReportFormat.JSON: "application/json",
    ReportFormat.PDF: "application/pdf",
}
_WRITERS: dict[str, Callable[[Table, BinaryIO, Progress], int]] = {
    ReportFormat.CSV: write_csv,
    ReportFormat.XLSX: write_xlsx,
    ReportFormat.JSON: write_json,
    ReportFormat.PDF: write_pdf,
}


class TooManyRowsError(Exception):
    """More than a sheet can hold; the text says what to do."""


def check(kind: str, rows: int) -> None:
    """Raises TooManyRowsError."""
    if kind == ReportFormat.XLSX and rows > SHEET_ROWS:
        raise TooManyRowsError(
            f"{rows:,} rows: a spreadsheet holds {SHEET_ROWS:,}. Choose CSV or a shorter period."
        )


def write(kind: str, table: Table, out: BinaryIO, progress: Progress = lambda rows: None) -> int:
    """How many rows. Raises TooManyRowsError, and what `progress` raises."""
    return _WRITERS[kind](table, out, progress)
