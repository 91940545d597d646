"""How long a fleet keeps what. Months are whole ones of UTC: what is older than the limit's first day goes.

Telemetry drops records (telemetry/retention.py); the rest goes here, once in a while: positions of trips and events,
visits, sums by day, hour and minute. Trips themselves, and sums by month, stay.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from fleet import audit
from fleet.audit import Actor
from fleet.models import (
    DriverDay,
    DriverHour,
    DriverMinute,
    Fleet,
    FleetDay,
    FleetHour,
    FleetMinute,
    Retention,
    TouchedDay,
    VehicleDay,
    VehicleHour,
    VehicleMinute,
    Visit,
)
from fleet.privacy import masks


@dataclass(frozen=True, slots=True)
class Limits:
    """None: as the server keeps it, or for ever."""

    records_months: int | None = None
    places_months: int | None = None
    day_sums_months: int | None = None
    footage_days: int | None = None


_MONTHS = ("records_months", "places_months", "day_sums_months")


def of(fleet: Fleet) -> Retention:
    """The fleet's, or one without limits, not stored."""
    return Retention.objects.filter(fleet=fleet).first() or Retention(fleet=fleet)


def limits_of(row: Retention) -> Limits:
    known = {name: getattr(row, name) for name in _MONTHS}
    return Limits(**known, footage_days=row.fleet.footage_days)


@transaction.atomic
def change(actor: Actor, fleet: Fleet, wanted: Limits, version: int | None = None) -> bool:
    """False: somebody changed it since `version`. Raises ValidationError by field."""
    locked = Fleet.objects.select_for_update(no_key=True).get(pk=fleet.pk)
    row = of(locked)
    if version is not None and row.version != version:
        return False
    before = limits_of(row)
    if before == wanted:
        return True
    for name in _MONTHS:
        setattr(row, name, getattr(wanted, name))
    row.version += 1
    row.clean_fields()
    server = settings.TELEMETRY_RETENTION_MONTHS
    if server and (wanted.records_months or 0) > server:
        raise ValidationError({"records_months": f"This server keeps records for {server} months at most."})
    row.save()
    locked.footage_days = fleet.footage_days = wanted.footage_days
    locked.save(update_fields=["footage_days"])
    audit.record(actor, "retention.changed", row, fleet, (asdict(before), asdict(wanted)))
    return True


def first_kept(now: datetime, months: int | None) -> datetime | None:
    """The beginning of the oldest month that is kept; None: nothing goes."""
    if months is None or months <= 0:
        return None
    years, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return datetime(years, month + 1, 1, tzinfo=UTC)


def records_kept(now: datetime, fleets: Iterable[int] | None = None) -> dict[int, datetime]:
    """From when on records are kept, of these fleets or of all that have a limit: their own, never beyond the server's.
    One query."""
    server = first_kept(now, settings.TELEMETRY_RETENTION_MONTHS)
    rows = Retention.objects.exclude(records_months=None)
    wanted = None if fleets is None else set(fleets)
    if wanted is not None:
        rows = rows.filter(fleet__in=wanted)
    found = {fleet: first_kept(now, months) for fleet, months in rows.values_list("fleet", "records_months")}
    all_of = wanted if wanted is not None else Fleet.objects.values_list("pk", flat=True) if server else found
    ends = {fleet: [end for end in (found.get(fleet), server) if end] for fleet in all_of}
    return {fleet: max(some) for fleet, some in ends.items() if some}


def first_day(fleet_id: int, now: datetime) -> date | None:
    """The oldest day whose sums are kept by day."""
    months = Retention.objects.filter(pk=fleet_id).values_list("day_sums_months", flat=True).first()
    first = first_kept(now, months)
    return first.date() if first else None


def forget(now: datetime) -> None:
    """A transaction a fleet; again: nothing more."""
    for row in Retention.objects.select_related("fleet"):
        with transaction.atomic():
            if first := first_kept(now, row.places_months):
                masks.forget(row.fleet_id, first)
                Visit.objects.filter(vehicle__fleet=row.fleet_id, left_at__lt=first).delete()
            if first := first_kept(now, row.day_sums_months):
                _forget_days(row.fleet_id, first)


def _forget_days(fleet_id: int, first: datetime) -> None:
    """Those that are still to be summed up are older than what is kept: their months stand."""
    asked: dict[str, Any] = {"fleet": fleet_id, "day__lt": first.date()}
    TouchedDay.objects.filter(**asked).delete()
    for model in (VehicleDay, DriverDay, FleetDay):
        model._default_manager.filter(**asked).delete()
    for short in (VehicleHour, DriverHour, FleetHour):
        short._default_manager.filter(fleet=fleet_id, hour__lt=first).delete()
    for shorter in (VehicleMinute, DriverMinute, FleetMinute):
        shorter._default_manager.filter(fleet=fleet_id, minute__lt=first).delete()
