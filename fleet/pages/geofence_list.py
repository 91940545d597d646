"""What the list of geofences may be asked, and the same rows as files."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from django.db.models import Count, F, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from fleet.geofencing import hours
from fleet.geofencing.fencefeatures import collection, feature_of
from fleet.models import FenceKind, Fleet, Geofence, Visit
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer

SORTS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "name": ("Name", ("name", "id")),
    "there": ("Most vehicles there", ("-there", "name", "id")),
    "newest": ("Newest visit", (F("newest").desc(nulls_last=True), "name", "id")),
    "changed": ("Last changed", ("-changed_at", "id")),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Anything unknown counts as not asked."""

    q: str
    kind: str
    sort: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Asked":
        kind, sort = request.GET.get("kind", ""), request.GET.get("sort", "")
        return cls(
            request.GET.get("q", "").replace("\0", "").strip()[:80],
            kind if kind in FenceKind.values else "",
            sort if sort in SORTS else "name",
        )

    @property
    def query(self) -> str:
        told = (("q", self.q), ("kind", self.kind), ("sort", "" if self.sort == "name" else self.sort))
        return urlencode({name: value for name, value in told if value})

    @property
    def sorts(self) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _) in SORTS.items()]


def rows_of(fleet: Fleet, asked: Asked) -> Any:
    """With `there`: vehicles inside now, and `newest`: when the last visit began."""
    mine = Visit.objects.filter(geofence=OuterRef("pk"), confirmed=True).order_by()
    there = mine.filter(left_at=None).values("geofence").annotate(count=Count("pk")).values("count")
    rows = Geofence.objects.filter(fleet=fleet).annotate(
        there=Coalesce(Subquery(there), 0),
        newest=Subquery(mine.order_by("-entered_at", "-id").values("entered_at")[:1]),
    )
    for word in asked.q.split():
        rows = rows.filter(name__icontains=word)
    if asked.kind:
        rows = rows.filter(kind=asked.kind)
    return rows.order_by(*SORTS[asked.sort][1])


def as_csv(fleet: Fleet, rows: Any) -> HttpResponse:
    head = ("id", "name", "kind", "radius_m", "width_m", "hours", "min_stay_s", "dwell_s", "hysteresis_m", "vehicles",
            "there_now", "newest_visit_utc")  # fmt: skip
    return csv_answer(
        f"geofences-{fleet.slug}",
        head,
        (
            [
                row.pk, row.name, row.kind, row.radius_m, row.width_m, hours.text_of(row.schedule), row.min_stay_s,
                row.dwell_s, row.hysteresis_m,
                "all" if row.all_vehicles else " ".join(vehicle.slug for vehicle in row.vehicles.all()),
                row.there, f"{row.newest:%Y-%m-%d %H:%M:%S}" if row.newest else "",
            ]
            for row in rows.prefetch_related("vehicles")[:EXPORT_LIMIT]
        ),
    )  # fmt: skip


def as_geojson(fleet: Fleet, rows: Any) -> HttpResponse:
    content = orjson.dumps(
        collection(feature_of(row) for row in rows[:EXPORT_LIMIT]), option=orjson.OPT_INDENT_2
    )
    response = HttpResponse(content, content_type="application/geo+json")
    name = f"geofences-{fleet.slug}-{timezone.now():%Y-%m-%d}.geojson"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
