"""Which days have to be summed up again because a vehicle was assigned to somebody else."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime

from django.db import connection

from fleet.aggregation.days import days_between
from fleet.aggregation.legs import LONGEST, utc_days
from fleet.models import AssignmentChange, DrivingEvent, Trip, TripSummary
from fleet.ranges import Range, joined, with_ranges

_FOREVER = datetime(9000, 1, 1, tzinfo=UTC)
_AT_ONCE = 500


def take_up() -> dict[tuple[int, int], set[date]]:
    """Fleet and vehicle, and days of UTC on which something began within a change. The changes are gone with the
    transaction. They are looked at in another one than they were made in: whoever stored a trip before could not see
    the assignment, and is seen now; whoever does later sees the assignment."""
    rows = AssignmentChange.objects.order_by("pk")
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True, of=("self",))
    changes = list(rows[:_AT_ONCE])
    if not changes:
        return {}
    found: dict[tuple[int, int], set[date]] = defaultdict(set)
    for fleet_id in sorted({one.fleet_id for one in changes}):
        ranges = joined(
            Range(one.vehicle_id, one.started_at, one.ended_at or _FOREVER)
            for one in changes
            if one.fleet_id == fleet_id
        )
        for vehicle, days in _days(fleet_id, ranges):
            found[fleet_id, vehicle] |= days
    AssignmentChange.objects.filter(pk__in=[one.pk for one in changes]).delete()
    return found


def _days(fleet_id: int, ranges: Sequence[Range]) -> "list[tuple[int, set[date]]]":
    asked, params = with_ranges(ranges)
    begun = "asked JOIN {0} r ON r.vehicle_id = asked.vehicle_id AND r.{1} >= asked.opens AND r.{1} < asked.closes"

    def select(table: str, start: str, columns: str) -> tuple[str, list[object]]:
        source = begun.format(table, start)
        return f"{asked} SELECT r.id, r.vehicle_id, {columns} FROM {source} WHERE r.fleet_id = %s", [
            *params,
            fleet_id,
        ]

    found: list[tuple[int, set[date]]] = []
    for trip in Trip.objects.raw(*select("trips", "started_at", "r.started_at, r.ended_at")):
        last = min(trip.ended_at, trip.started_at + LONGEST)
        days = days_between(trip.started_at.astimezone(UTC).date(), last.astimezone(UTC).date())
        found.append((trip.vehicle_id, set(days)))
    columns = "r.start_time, r.end_time, r.duration_s"
    for summary in TripSummary.objects.raw(*select("trip_summaries", "start_time", columns)):
        found.append((summary.vehicle_id, utc_days(summary)))
    for event in DrivingEvent.objects.raw(*select("driving_events", "started_at", "r.started_at")):
        found.append((event.vehicle_id, {event.started_at.astimezone(UTC).date()}))
    return found
