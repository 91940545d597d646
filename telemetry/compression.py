"""What the predictor saved, added up for /status, /ws and the pages."""

from contextlib import suppress
from typing import Any

from django.core.cache import cache
from django.db.models import Sum

from fleet.access import Principal
from fleet.models import Vehicle
from telemetry.models import CompressionStat, ratio

_FRESH_S = 2
_FIELDS = ("records", "transmitted_readings", "skipped_readings", "bytes_received")


def totals(principal: Principal | None = None) -> dict[str, Any]:
    """In the document's /status shape: of everything, or of what this principal may see."""
    name = f"compression-{principal.pk}" if principal else "compression"
    known = _remembered(name)
    if known is None:
        rows = CompressionStat.objects.all()
        if principal is not None:
            rows = rows.filter(vehicle__in=Vehicle.objects.visible_to(principal))
        known = _shape(rows.aggregate(**{field: Sum(field) for field in _FIELDS}))
        with suppress(Exception):
            cache.set(name, known, _FRESH_S)
    return known


def _remembered(name: str) -> dict[str, Any] | None:
    """A cache that is down costs time, not the answer."""
    with suppress(Exception):
        known: dict[str, Any] | None = cache.get(name)
        return known
    return None


def of_vehicle(vehicle: Vehicle) -> dict[str, Any]:
    rows = CompressionStat.objects.filter(vehicle=vehicle)
    return _shape(rows.aggregate(**{field: Sum(field) for field in _FIELDS}))


def _shape(sums: dict[str, int | None]) -> dict[str, Any]:
    sent, skipped = sums["transmitted_readings"] or 0, sums["skipped_readings"] or 0
    return {
        "total_readings": sent + skipped,
        "transmitted_readings": sent,
        "skipped_readings": skipped,
        "compression_ratio": round(ratio(sent, skipped), 4),
        "records": sums["records"] or 0,
        "bytes_received": sums["bytes_received"] or 0,
    }
