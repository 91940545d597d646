"""Files made for somebody, as a list: what it may be asked, and the same rows as a file."""

from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.paginator import Paginator
from django.db.models import F
from django.http import HttpRequest, HttpResponse

from fleet.models import ExportState, Fleet, ReportExport, ReportFormat
from fleet.pages.asked import Asked
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer

PAGE_SIZE = 20
SORTS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "newest": ("Newest first", ("-created_at", "-id")),
    "oldest": ("Oldest first", ("created_at", "id")),
    "report": ("Report", ("report", "-created_at", "-id")),
    "rows": ("Most rows", ("-rows", "-id")),
    "size": ("Largest file", (F("size_bytes").desc(nulls_last=True), "-id")),
}
_HEAD = (
    "id", "report", "format", "filename", "schedule", "state", "rows", "size_bytes", "created_at_utc", "ended_at_utc",
    "expires_at_utc", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted(Asked):
    choices: ClassVar = {"format": ReportFormat.values, "state": ExportState.values, "sort": SORTS}
    report: str = ""
    format: str = ""
    state: str = ""
    sort: str = ""

    @property
    def narrowed(self) -> bool:
        return bool(self.report or self.format or self.state)

    def rows(self, found: Any) -> Any:
        told = {"report": self.report, "format": self.format, "state": self.state}
        found = found.filter(**{name: value for name, value in told.items() if value})
        return found.order_by(*SORTS[self.sort or "newest"][1])


def listed(request: HttpRequest, fleet: Fleet, mine: Any) -> tuple[dict[str, Any], HttpResponse | None]:
    """What the page shows, or the rows as a file when that is asked for."""
    wanted = Wanted.of(request)
    rows = wanted.rows(mine)
    if request.GET.get("export") == "csv":
        return {}, csv_answer(f"exports-{fleet.slug}", _HEAD, map(_cells, rows[:EXPORT_LIMIT]))
    content = {
        "wanted": wanted,
        "exports": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", "1")),
        "formats": ReportFormat.choices,
        "states": ExportState.choices,
        "sorts": [(name, label) for name, (label, _) in SORTS.items()],
    }
    return content, None


def _cells(row: ReportExport) -> list[Any]:
    schedule = row.schedule.name if row.schedule else ""
    told = [str(row.uid), row.report, row.format, row.filename, schedule, row.state, row.rows, row.size_bytes]
    moments = (row.created_at, row.ended_at, row.expires_at)
    return [*told, *(f"{one:%Y-%m-%d %H:%M:%S}" if one else "" for one in moments), row.error]
