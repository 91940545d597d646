"""What the list of alert rules may be asked, and the same rows as a file."""

import csv
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from fleet.alerting.ruletext import summary_of
from fleet.models import Fleet, RuleKind, Severity
from fleet.pages.csvfile import plain
from fleet.readings import Catalogue

SORTS = {
    "name": ("Name", ("name", "id")),
    "severity": ("Severity", ("-severity", "name", "id")),
    "newest": ("Newest episode", ("-newest", "name", "id")),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Anything unknown counts as not asked."""

    q: str
    kind: str
    sort: str

    @property
    def query(self) -> str:
        told = (("q", self.q), ("kind", self.kind), ("sort", self.sort if self.sort != "name" else ""))
        return urlencode({name: value for name, value in told if value})

    @property
    def sorts(self) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _) in SORTS.items()]


def narrowed(request: HttpRequest, rows: Any) -> tuple[Asked, Any]:
    kind, sort = request.GET.get("kind", ""), request.GET.get("sort", "")
    words = request.GET.get("q", "").replace("\0", "").strip()[:80]
    asked = Asked(words, kind if kind in RuleKind.values else "", sort if sort in SORTS else "name")
    for word in words.split():
        rows = rows.filter(Q(name__icontains=word) | Q(field__icontains=word))
    if asked.kind:
        rows = rows.filter(kind=asked.kind)
    return asked, rows.order_by(*SORTS[asked.sort][1])


def exported(fleet: Fleet, rows: Any, catalogue: Catalogue) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    name = f"alert-rules-{fleet.slug}-{timezone.now():%Y-%m-%d}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    writer = csv.writer(response)
    writer.writerow(
        ("name", "kind", "condition", "severity", "enabled", "vehicles", "holding_now", "version")
    )
    for rule in rows.prefetch_related("vehicles"):
        members = "all" if rule.all_vehicles else " ".join(one.slug for one in rule.vehicles.all())
        writer.writerow(
            [
                plain(rule.name), rule.kind, plain(summary_of(rule, catalogue)), Severity(rule.severity).label,
                rule.enabled, members, rule.holding, rule.version,
            ]
        )  # fmt: skip
    return response
