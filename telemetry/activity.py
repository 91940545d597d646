"""Tells the fleet's rollups which vehicles sent records on which days, and counts those records when asked.

The drain would touch the same days at every pass. So the touches of a stretch of wall clock are one row, due when
the stretch is over for longer than any drain's transaction takes: whatever the row stands for is committed by then.
"""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from fleet.buckets import HEARD, Activity, Bucket, Sums, sources
from fleet.models import Part, Vehicle
from fleet.ranges import Range, with_ranges
from fleet.rollups import Touch, touch
from telemetry.models import CompressionStat
from telemetry.partitions import first_kept
from telemetry.sql import on_postgresql

STRETCH_S, GRACE_S = 300, 60
_REMEMBERED = 200_000


class _Noted:
    """What this process has touched already, and committed."""

    def __init__(self) -> None:
        self.slot = 0
        self.now: set[tuple[int, str]] = set()
        self.ever: set[tuple[int, str]] = set()

    def remember(self, slot: int, keys: Iterable[tuple[int, str]]) -> None:
        if slot > self.slot:
            self.now, self.slot = set(), slot
        if len(self.ever) > _REMEMBERED:
            self.ever = set()
        if slot == self.slot:
            self.now.update(keys)
        self.ever.update(keys)


noted = _Noted()


def note(days: Iterable[tuple[int, str]]) -> None:
    """(vehicle, ISO day of UTC) of records just stored. Call inside their transaction; mostly without a query."""
    slot = int(time.time() // STRETCH_S + 1) * STRETCH_S + GRACE_S
    keys = set(days)
    fresh = keys - noted.now if slot == noted.slot else keys
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


SEEN_MS, TIMED_MS = 2_500, 60_000
"""Records at most so far apart show how a vehicle brakes (fleet/believed.py), and how fast it drives."""


def count(ranges: dict[Bucket, Range]) -> dict[Bucket, Sums]:
    """Of each range its records, the distance that dense ones cover, and the time moving at a known speed.

    What began before the oldest month that is kept is left out: its rows may be gone.
    """
    kept_from = first_kept(timezone.now(), settings.TELEMETRY_RETENTION_MONTHS)
    asked = {bucket: one for bucket, one in ranges.items() if kept_from is None or one.start >= kept_from}
    if not asked:
        return {}
    by_start = {(one.vehicle_id, one.start): bucket for bucket, one in asked.items()}
    found: dict[Bucket, Sums] = {bucket: Counter() for bucket in asked}
    expression, params = with_ranges(list(asked.values()))
    with connection.cursor() as cursor:
        cursor.execute(f"{expression} {_heard()}", params)
        for vehicle, opens, *sums in cursor.fetchall():
            found[by_start[vehicle, _moment(opens)]] = Counter(dict(zip(HEARD, map(int, sums), strict=True)))
    return found


def _heard() -> str:
    """The step to a record is taken at the record's own speed."""
    earlier = "lag(t.time) OVER (PARTITION BY asked.vehicle_id, asked.opens ORDER BY t.time, t.stream_id, t.sequence)"
    step = (
        f"round(extract(epoch FROM t.time - {earlier}) * 1000)::bigint"
        if on_postgresql()
        else f"CAST(round((julianday(t.time) - julianday({earlier})) * 86400000) AS INTEGER)"
    )
    far = "CAST(round(CAST(abs(speed_kmh) * step / 3.6 AS numeric)) AS bigint)"
    dense = f"step <= {SEEN_MS} AND abs(speed_kmh) >= 3.6"
    return (
        f"SELECT vehicle_id, opens, count(*), coalesce(sum({far}) FILTER (WHERE {dense}), 0), "
        f"coalesce(sum({far}) FILTER (WHERE {dense} AND turns), 0), "
        f"coalesce(sum(step) FILTER (WHERE step <= {TIMED_MS} AND abs(speed_kmh) >= 3.6), 0) "
        f"FROM (SELECT asked.vehicle_id, asked.opens, t.speed_kmh, {step} AS step, "
        "(t.heading_deg IS NOT NULL OR t.yaw_rate_degps IS NOT NULL OR t.lateral_acceleration IS NOT NULL) AS turns "
        "FROM asked JOIN telemetry_data t ON t.vehicle_id = asked.vehicle_id AND t.time >= asked.opens "
        "AND t.time < asked.closes) r GROUP BY vehicle_id, opens"
    )


def days(fleet_id: int) -> Iterable[Bucket]:
    return CompressionStat.objects.filter(vehicle__fleet=fleet_id).values_list("vehicle_id", "day")


def register() -> None:
    sources.activity = [Activity(count, days)]


def _moment(value: datetime | str) -> datetime:
    """SQLite answers the text it was asked with."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
