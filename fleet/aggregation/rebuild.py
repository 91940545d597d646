"""Touches every day of a fleet: after its time zone or the formula changed, or rows were deleted."""

import secrets
from collections.abc import Iterable

from django.db import connection
from django.db.models import Exists, OuterRef
from django.db.models.functions import TruncMonth
from django.utils import timezone

from fleet.aggregation.legs import LONGEST
from fleet.aggregation.sources import sources
from fleet.models import DriverDay, DriverMonth, FleetDay, Part, RollupState, TouchedDay, VehicleDay
from fleet.privacy.retention import first_day

_AT_ONCE = 2_000
SLOT = 1
"""Long past, and not the 0 of everybody else: nobody who touches a day has to wait for a rebuild to commit."""


def ask_for(fleet_ids: Iterable[int]) -> None:
    """Sum these fleets up anew, in the background."""
    RollupState.objects.filter(pk__in=list(fleet_ids)).update(time_zone="")


def touch_everything(fleet_id: int) -> int:
    """Within the transaction that holds the fleet's RollupState; answers how many days are touched now."""
    # Days without a vehicle left have nothing that could be summed up again.
    left = VehicleDay.objects.filter(fleet=OuterRef("fleet"), day=OuterRef("day"))
    FleetDay.objects.filter(~Exists(left), fleet=fleet_id).delete()
    driven = DriverDay.objects.filter(fleet=OuterRef("fleet"), driver_id=OuterRef("driver_id"))
    driven = driven.annotate(month=TruncMonth("day")).filter(month=OuterRef("month"))
    first = first_day(fleet_id, timezone.now())
    summed = DriverMonth.objects.filter(~Exists(driven), fleet=fleet_id)
    # Of months whose days are no longer kept nothing could be summed up again.
    (summed if first is None else summed.filter(month__gte=first)).delete()
    for table, start, end in (
        ("trip_summaries", "r.start_time", "r.end_time"),
        ("trips", "r.started_at", "r.ended_at"),
    ):
        for days in range(LONGEST.days + 1):
            lasting = f"AND ({end} IS NULL OR {_day(end)} >= {_day(start, days)})"
            _touch(fleet_id, table, _day(start, days), lasting if days else "")
    _touch(fleet_id, "alerts", _day("r.first_at"))
    # A sum made in another zone may stand on the day before or after the one it will have.
    for part in Part:
        for days in (-1, 0, 1):
            _touch(fleet_id, "rollup_vehicle_day", _day("r.day", days), part=part)
    for source in sources.activity:
        rows = [
            TouchedDay(
                fleet_id=fleet_id,
                vehicle_id=vehicle,
                part=part,
                day=day,
                slot=SLOT,
                version=_version(),
            )
            for vehicle, day in source.days(fleet_id)
            for part in (Part.ACTIVITY, Part.MINUTES)
        ]
        TouchedDay.objects.bulk_create(rows, batch_size=_AT_ONCE, ignore_conflicts=True)
    return TouchedDay.objects.filter(fleet=fleet_id).count()


def _touch(fleet_id: int, table: str, day: str, condition: str = "", part: Part = Part.DRIVING) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO rollup_touched (fleet_id, vehicle_id, part, day, slot, version) "
            f"SELECT DISTINCT r.fleet_id, r.vehicle_id, %s, {day}, {SLOT}, %s FROM {table} r "
            f"WHERE r.fleet_id = %s {condition} ON CONFLICT DO NOTHING",
            [part.value, _version(), fleet_id],
        )


def _day(column: str, days: int = 0) -> str:
    """The day of UTC of a moment (or a day), and so many days later."""
    if connection.vendor == "postgresql":
        moment = column if column.endswith(".day") else f"{column} AT TIME ZONE 'UTC'"
        return f"(({moment})::date + {days})"
    return f"date({column}, '{days:+d} days')"


def _version() -> int:
    return secrets.randbits(62)
