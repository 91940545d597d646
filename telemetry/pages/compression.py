"""What leaving values out saved for one vehicle: today and in all."""

from dataclasses import dataclass
from datetime import UTC

from django.db.models import Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from fleet.access import vehicle_or_404
from fleet.pages.session import part
from telemetry.models import CompressionStat, ratio

_FIELDS = ("records", "transmitted_readings", "skipped_readings", "bytes_received")


@dataclass(frozen=True, slots=True)
class Saved:
    period: str
    records: int
    sent: int
    omitted: int
    size: int

    @property
    def percent(self) -> float:
        return 100 * ratio(self.sent, self.omitted)

    @property
    def bytes_per_record(self) -> float:
        return self.size / self.records if self.records else 0.0


@part
def compression(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    found = vehicle_or_404(request.user, fleet, vehicle)
    today = Q(day=timezone.now().astimezone(UTC).date())
    sums = {f"{field}_ever": Sum(field) for field in _FIELDS}
    sums |= {f"{field}_today": Sum(field, filter=today) for field in _FIELDS}
    row = CompressionStat.objects.filter(vehicle=found).aggregate(**sums)
    periods = [
        Saved("Today (UTC)", *(row[f"{field}_today"] or 0 for field in _FIELDS)),
        Saved("In all", *(row[f"{field}_ever"] or 0 for field in _FIELDS)),
    ]
    return render(request, "telemetry/_compression.html", {"periods": periods, "vehicle": found})
