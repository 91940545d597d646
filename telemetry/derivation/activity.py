"""Tells the fleet's rollups which vehicles sent records on which days, and counts those records when asked.

The drain would touch the same days at every pass. So the touches of a stretch of wall clock are one row, due when
the stretch is over for longer than any drain's transaction takes: whatever the row stands for is committed by then.
"""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime

from django.db import connection, transaction
from django.utils import timezone

from fleet.aggregation.columns import HEARD
from fleet.aggregation.rollups import Touch, touch
from fleet.aggregation.sources import Activity, Bucket, Sums, sources
from fleet.behaviour import tripscores
from fleet.models import Part, Vehicle
from fleet.privacy.retention import records_kept
from fleet.ranges import Range
from telemetry.derivation import minutes
from telemetry.derivation.noted import Noted
from telemetry.models import CompressionStat

STRETCH_S, GRACE_S = 300, 60
noted = Noted[tuple[int, str]]()
"""Vehicle and day."""


def note(days: Iterable[tuple[int, str]]) -> None:
    """(vehicle, ISO day of UTC) of records just stored. Call inside their transaction; mostly without a query."""
    slot = int(time.time() // STRETCH_S + 1) * STRETCH_S + GRACE_S
    keys = set(days)
    fresh = noted.fresh(slot, keys)
    if not fresh:
        return
    fleets = dict(
        Vehicle.objects.filter(pk__in={vehicle for vehicle, _ in fresh}).values_list("pk", "fleet_id")
    )
    # A day nobody knew of is also summed up at once: the vehicle was active.
    wanted = [(key, slot) for key in fresh] + [(key, 0) for key in fresh - noted.ever]
    touch(
        Touch(vehicle, Part.ACTIVITY, date.fromisoformat(day), fleets[vehicle], at)
        for (vehicle, day), at in wanted
        if vehicle in fleets
    )
    transaction.on_commit(lambda: noted.remember(slot, fresh))


def count(ranges: dict[Bucket, Range]) -> dict[Bucket, Sums]:
    """Of each range its records, the distance that dense ones cover, and the time moving at a known speed.

    What began before the oldest month that is kept is left out: its rows may be gone.
    """
    vehicles = Vehicle.objects.filter(pk__in={one.vehicle_id for one in ranges.values()})
    fleets = dict(vehicles.values_list("pk", "fleet_id"))
    kept = records_kept(timezone.now(), fleets.values())
    since = {vehicle: kept[fleet] for vehicle, fleet in fleets.items() if fleet in kept}
    asked = {key: one for key, one in ranges.items() if one.start >= since.get(one.vehicle_id, one.start)}
    if not asked:
        return {}
    by_start = {(one.vehicle_id, one.start): bucket for bucket, one in asked.items()}
    found: dict[Bucket, Sums] = {bucket: Counter() for bucket in asked}
    expression, params = minutes.records_of(asked.values())
    sums_of = ", ".join(minutes.SUMS[name] for name in HEARD)
    query = f"SELECT vehicle_id, opens, {sums_of} FROM r WHERE time >= opens GROUP BY vehicle_id, opens"
    with connection.cursor() as cursor:
        cursor.execute(f"{expression} {query}", params)
        for vehicle, opens, *sums in cursor.fetchall():
            found[by_start[vehicle, _moment(opens)]] = Counter(dict(zip(HEARD, map(int, sums), strict=True)))
    return found


def days(fleet_id: int) -> Iterable[Bucket]:
    return CompressionStat.objects.filter(vehicle__fleet=fleet_id).values_list("vehicle_id", "day")


def register() -> None:
    sources.activity = [Activity(count, days, minutes.keep)]
    tripscores.sources.count = [count]


def _moment(value: datetime | str) -> datetime:
    """SQLite answers the text it was asked with."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
