"""How long sums by minute and by hour are kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from fleet.aggregation.hours import next_full
from fleet.models import DriverHour, DriverMinute, Fleet, FleetHour, FleetMinute, VehicleHour, VehicleMinute

_AT_ONCE = timedelta(hours=6)
_EVER = datetime(1, 1, 2, tzinfo=UTC)


def minutes_from(now: datetime) -> datetime:
    """The first minute that is kept: a full hour of UTC."""
    return _from(now, settings.MINUTE_ROLLUP_DAYS)


def hours_from(now: datetime) -> datetime:
    return _from(now, settings.HOUR_ROLLUP_DAYS)


def _from(now: datetime, days: int) -> datetime:
    """0 days: nothing is forgotten."""
    return next_full(now - timedelta(days=days)) if days else _EVER


def prune(now: datetime) -> int:
    """Forget what is older, some hours of a fleet in one statement; answers how many rows that was."""
    tables: list[tuple[Any, str, datetime]] = [
        *((model, "minute", minutes_from(now)) for model in (VehicleMinute, DriverMinute, FleetMinute)),
        *((model, "hour", hours_from(now)) for model in (VehicleHour, DriverHour, FleetHour)),
    ]
    gone = 0
    for fleet in Fleet.objects.order_by("pk").values_list("pk", flat=True):
        for model, moment, first in tables:
            gone += _prune(model, fleet, moment, first)
    return gone


def _prune(model: Any, fleet_id: int, moment: str, first: datetime) -> int:
    rows, gone = model.objects.filter(fleet=fleet_id), 0
    while True:
        old = rows.filter(**{f"{moment}__lt": first})
        oldest = old.order_by(moment).values_list(moment, flat=True).first()
        if oldest is None:
            return gone
        with transaction.atomic():
            gone += old.filter(**{f"{moment}__lt": oldest + _AT_ONCE})._raw_delete(rows.db)
