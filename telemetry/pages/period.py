"""Rows of one vehicle between two moments, never more than a page can carry."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from fleet.models import Vehicle
from telemetry.models import TelemetryRecord

ROWS = 40_000
COUNTED = 2_000_000
_AHEAD = timedelta(seconds=60)
"""A vehicle's clock may be a little fast; its newest records still belong to "now"."""


def rows_between(
    vehicle: Vehicle, begin: datetime, end: datetime, columns: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    """`time` and `columns`, oldest first. Of a period with more than ROWS records every n-th is read, evenly:
    sequences count up within a stream, and in stream 0 they are a hash."""
    rows = TelemetryRecord.objects.filter(vehicle=vehicle, time__gte=begin, time__lt=end)
    count = rows[:COUNTED].count()
    if count > ROWS:
        rows = rows.alias(place=F("sequence") % -(-count // ROWS)).filter(place=0)
    return list(rows.order_by("time", "sequence").values_list("time", *columns)[: 2 * ROWS])


def end_of_period(request: HttpRequest) -> datetime:
    """`end` in Unix seconds, else now."""
    try:
        return datetime.fromtimestamp(float(request.GET["end"]), UTC) + timedelta(seconds=1)
    except (KeyError, ValueError, OverflowError, OSError):
        return timezone.now() + _AHEAD


def json(content: Any) -> HttpResponse:
    return HttpResponse(orjson.dumps(content), content_type="application/json")
