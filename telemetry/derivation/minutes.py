"""What stored records say of a vehicle's minutes and hours. A consumer of telemetry.derivation.derive, and SQL.

The consumer only notes what was touched, and mostly without a query: five minutes of a vehicle for a stretch of wall
clock are one row, as its days are (`activity.note`). Whoever sums up the fleet reads the records then, once for all
of the stretch. Longer spans, of uploads, touch whole days.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from fleet.aggregation.columns import TOLD
from fleet.aggregation.hourly import SLICE
from fleet.aggregation.kept import hours_from
from fleet.aggregation.rollups import Touch, touch
from fleet.aggregation.sources import Into
from fleet.aggregation.upserts import run
from fleet.journeys.movement import IMPOSSIBLE_MPS
from fleet.models import Part, TouchedSlice, Vehicle
from fleet.privacy.retention import records_kept
from fleet.ranges import Range
from telemetry.derivation.noted import Noted
from telemetry.derivation.touched import Span
from telemetry.frames import from_us, to_us
from telemetry.sql import on_postgresql

STRETCH_S, GRACE_S = 60, 60
SEEN_MS, TIMED_MS = 2_500, 60_000
"""Records at most so far apart show how a vehicle brakes (fleet/behaviour/believed.py), and how fast it drives."""
_SLICE_US, _REACH_US = SLICE // timedelta(microseconds=1), TIMED_MS * 1000
LONG_SLICES = 24
_MOVING_KMH = 3.6
noted = Noted[tuple[int, int]]()


def consume(spans: Sequence[Span]) -> None:
    """A consumer of telemetry.derivation.derive."""
    slot = int(time.time() // STRETCH_S + 1) * STRETCH_S + GRACE_S
    oldest = to_us(max(hours_from(timezone.now()), from_us(0)))
    slices: set[tuple[int, int]] = set()
    days: set[tuple[int, date]] = set()
    for span in spans:
        # The step to a record counts where that lies, so that a new one also changes the next one's.
        first, last = max(span.first_us, oldest) // _SLICE_US, (span.last_us + _REACH_US) // _SLICE_US
        if last - first < LONG_SLICES:
            slices |= {(span.vehicle_id, place) for place in range(first, last + 1)}
        else:
            opens, closes = (from_us(place * _SLICE_US).date() for place in (first, last))
            days |= {(span.vehicle_id, opens + timedelta(days=n)) for n in range((closes - opens).days + 1)}
    _note(slot, noted.fresh(slot, slices), days)


def _note(slot: int, slices: set[tuple[int, int]], days: set[tuple[int, date]]) -> None:
    if not slices and not days:
        return
    vehicles = {vehicle for vehicle, _ in slices | days}
    fleets = dict(Vehicle.objects.filter(pk__in=vehicles).values_list("pk", "fleet_id"))
    rows = [
        TouchedSlice(
            fleet_id=fleets[vehicle], vehicle_id=vehicle, opens=from_us(place * _SLICE_US), slot=slot
        )
        for vehicle, place in sorted(slices)
        if vehicle in fleets
    ]
    TouchedSlice.objects.bulk_create(rows, ignore_conflicts=True)
    touch(
        Touch(vehicle, Part.MINUTES, day, fleets[vehicle], slot) for vehicle, day in days if vehicle in fleets
    )
    transaction.on_commit(lambda: noted.remember(slot, slices))


def keep(fleet_id: int, into: Into, ranges: Sequence[Range]) -> None:
    """See fleet.aggregation.sources.Activity."""
    kept_from = records_kept(timezone.now(), [fleet_id]).get(fleet_id)
    asked = [one for one in ranges if kept_from is None or one.start >= kept_from]
    if not asked:
        return
    expression, params = records_of(asked)
    moment = _minute("r.time") if into is Into.MINUTES else "r.opens"
    statement = into.value.upsert(
        f"%s, r.vehicle_id, {moment}",
        ", ".join(SUMS[name] for name in TOLD),
        f"FROM r WHERE r.time >= r.opens GROUP BY r.vehicle_id, {moment}",
    )
    run(f"{expression} {statement}", [*params, fleet_id])


def records_of(ranges: Iterable[Range]) -> tuple[str, list[Any]]:
    """`WITH r AS (…)`: the records of each range, and of the minute before it, for the step to its first one.

    `step`: milliseconds since the vehicle's record before. `speed`: km/h, without a sign; NULL where impossible.
    """
    rows = [(one.vehicle_id, *_moments(one)) for one in ranges]
    cell = "(%s::bigint, %s::timestamptz, %s::timestamptz, %s::timestamptz)"
    cells = ", ".join([cell if on_postgresql() else "(%s, %s, %s, %s)"] * len(rows))
    most = IMPOSSIBLE_MPS * 3.6
    chosen = (
        f"t.time, {_milliseconds('t.time')} AS at_ms, "
        f"CASE WHEN abs(t.speed_kmh) <= {most} THEN abs(t.speed_kmh) END AS speed, t.ignition, t.battery_percent, "
        "coalesce(t.power_kw, t.voltage * t.current / 1000) AS power, "
        "(t.heading_deg IS NOT NULL OR t.yaw_rate_degps IS NOT NULL OR t.lateral_acceleration IS NOT NULL) AS turns"
    )
    order = "ORDER BY t.time, t.stream_id, t.sequence"
    within = "t.vehicle_id = a.vehicle_id AND t.time >= a.since AND t.time < a.closes"
    if on_postgresql():
        # Each range is a walk along the unique index, which gives the order too.
        step = f"{_milliseconds('t.time')} - lag({_milliseconds('t.time')}) OVER ({order}) AS step"
        walk = f"SELECT {chosen}, {step} FROM telemetry_data t WHERE {within} OFFSET 0"
        query = f"SELECT a.vehicle_id, a.opens, q.* FROM asked a JOIN LATERAL ({walk}) q ON true"
    else:
        lag = f"lag({_milliseconds('t.time')}) OVER (PARTITION BY a.vehicle_id, a.opens {order})"
        query = (
            f"SELECT a.vehicle_id, a.opens, {chosen}, {_milliseconds('t.time')} - {lag} AS step "
            f"FROM asked a CROSS JOIN telemetry_data t WHERE {within}"
        )
    asked = f"WITH asked (vehicle_id, since, opens, closes) AS (VALUES {cells})"
    return f"{asked}, r AS ({query})", [value for row in rows for value in row]


def _moments(one: Range) -> list[Any]:
    since = one.start - timedelta(milliseconds=TIMED_MS)
    return [connection.ops.adapt_datetimefield_value(moment) for moment in (since, one.start, one.end)]


def _milliseconds(column: str) -> str:
    if on_postgresql():
        return f"(extract(epoch FROM {column}) * 1000)::bigint"
    return f"CAST(round((julianday({column}) - 2440587.5) * 86400000) AS INTEGER)"


def _minute(column: str) -> str:
    """SQLite keeps moments as text."""
    return f"date_trunc('minute', {column})" if on_postgresql() else f"substr({column}, 1, 16) || ':00'"


def _whole(expression: str) -> str:
    return f"CAST(round(CAST({expression} AS double precision)) AS bigint)"


def _sum(expression: str, condition: str) -> str:
    return f"coalesce(sum({_whole(expression)}) FILTER (WHERE {condition}), 0)"


_MOVING = f"step <= {TIMED_MS} AND speed >= {_MOVING_KMH}"
_DENSE = f"step <= {SEEN_MS} AND speed >= {_MOVING_KMH}"
_FAR = "speed * step / 3.6"
"""mm: the step to a record is taken at the record's own speed."""
SUMS = {
    "records": "count(*)",
    "seen_mm": _sum(_FAR, _DENSE),
    "turning_mm": _sum(_FAR, f"{_DENSE} AND turns"),
    "timed_ms": _sum("step", _MOVING),
    "moved_mm": _sum(_FAR, _MOVING),
    "standing_ms": _sum("step", f"step <= {TIMED_MS} AND speed < {_MOVING_KMH} AND ignition > 0"),
    "used_j": _sum("power * step", f"step <= {TIMED_MS} AND power > 0"),
    "returned_j": _sum("-power * step", f"step <= {TIMED_MS} AND power < 0"),
    "top_speed_mm_s": f"coalesce(max({_whole('speed / 0.0036')}), 0)",
    # The last one that is known; of several of a moment the greatest.
    "charge": f"max(at_ms * 10001 + {_whole('battery_percent * 100')}) "
    "FILTER (WHERE battery_percent BETWEEN 0 AND 100) %% 10001",
}
"""By column, over `r`. kW × ms are joules."""
