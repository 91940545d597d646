"""Every drive in some stretches of time, each with its driver: what devices summed up, and what was detected.

Whose a stretch is: the driver's whom the device's matching summary names; else whoever the vehicle was assigned to, of
a trip when it began and of an event when it began; else nobody's. It follows from rows alone.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from fleet.aggregation.legs import LONGEST, span
from fleet.journeys.matching import MATCHED_SQL
from fleet.models import DriverAssignment, Trip, TripSummary
from fleet.ranges import Range, with_ranges

SCORED = "driven_by, score, score_version, score_sums, seen_mm, turning_mm, timed_ms"
_TOLD = (
    "id, vehicle_id, driver_id, start_time, end_time, distance_m, duration_s, mean_risk, alerts, " + SCORED
)
_FOUND = (
    "id, vehicle_id, started_at, ended_at, settled_at, middle_at, distance_m, duration_s, driver_id, "
    + SCORED
)


@dataclass(frozen=True, slots=True)
class Assigned:
    """Who was assigned to the vehicles of a fleet, as cars call them."""

    begins: dict[int, list[datetime]]
    whom: dict[int, list[tuple[datetime | None, str]]]
    """Until when, and whom; in the order of `begins`."""

    @classmethod
    def read(cls, fleet_id: int, ranges: Sequence[Range]) -> "Assigned":
        """At any moment of the ranges. One query."""
        found = cls(defaultdict(list), defaultdict(list))
        if not ranges:
            return found
        asked, params = with_ranges(ranges)
        rows: Any = DriverAssignment.objects.raw(
            f"{asked} SELECT DISTINCT a.id, a.vehicle_id, a.started_at, a.ended_at, d.slug FROM asked "
            "JOIN driver_assignments a ON a.vehicle_id = asked.vehicle_id AND a.started_at < asked.closes "
            "AND (a.ended_at IS NULL OR a.ended_at > asked.opens) JOIN drivers d ON d.id = a.driver_id "
            "WHERE a.fleet_id = %s ORDER BY a.vehicle_id, a.started_at",
            [*params, fleet_id],
        )
        for row in rows:
            found.begins[row.vehicle_id].append(row.started_at)
            found.whom[row.vehicle_id].append((row.ended_at, row.slug))
        return found

    def at(self, vehicle_id: int, moment: datetime) -> str:
        """Empty: nobody."""
        place = bisect_right(self.begins.get(vehicle_id, ()), moment) - 1
        if place < 0:
            return ""
        ended_at, driver = self.whom[vehicle_id][place]
        return driver if ended_at is None or moment < ended_at else ""


class Stretch(NamedTuple):
    start: datetime
    end: datetime
    driver: str


@dataclass
class Drives:
    """`told` and `found` have `driven_by` set to what it should be; `stored` is what the rows say."""

    told: dict[int, TripSummary]
    found: dict[int, Trip]
    matched: dict[int, list[TripSummary]]
    """Summaries of a detected trip, in order of time."""
    assigned: Assigned
    stored: dict[int, str] = field(default_factory=dict)

    @property
    def counted(self) -> Iterable[TripSummary]:
        """Every drive once: a summary stands for the trip it matches, for it knows more."""
        yield from self.told.values()
        yield from (as_summary(trip) for pk, trip in self.found.items() if pk not in self.matched)

    def named(self) -> dict[int, list[Stretch]]:
        """By vehicle when a device names whom, what counts first first: its summaries, then the detected trips they
        match; of each the one begun last."""
        found: dict[int, list[Stretch]] = defaultdict(list)
        told = [(one.vehicle_id, *span(one), one.driver_id) for one in self.told.values()]
        around = [
            (trip.vehicle_id, trip.started_at, trip.ended_at, told_driver(self.matched[pk]))
            for pk, trip in self.found.items()
            if pk in self.matched
        ]
        for stretches in (told, around):
            for vehicle, start, end, driver in sorted(stretches, reverse=True):
                if driver:
                    found[vehicle].append(Stretch(start, end, driver))
        return found


def told_driver(summaries: Iterable[TripSummary]) -> str:
    """The first that a device names."""
    return next((one.driver_id for one in summaries if one.driver_id), "")


def as_summary(trip: Trip) -> TripSummary:
    """A detected trip as a summary that knows less."""
    return TripSummary(
        pk=-trip.pk,
        vehicle_id=trip.vehicle_id,
        driven_by=trip.driven_by,
        start_time=trip.started_at,
        end_time=trip.ended_at,
        distance_m=trip.distance_m,
        duration_s=trip.duration_s,
    )


def read(fleet_id: int, ranges: Sequence[Range]) -> Drives:
    """Whatever may reach into one of the ranges. Four queries."""
    wide = [Range(one.vehicle_id, one.start - LONGEST, one.end) for one in ranges]
    asked, params = with_ranges(wide)
    told = TripSummary.objects.raw(
        f"{asked} SELECT {_of('t', _TOLD)} FROM asked JOIN trip_summaries t ON t.vehicle_id = asked.vehicle_id "
        "AND t.start_time >= asked.opens AND t.start_time < asked.closes WHERE t.fleet_id = %s",
        [*params, fleet_id],
    )
    found = Trip.objects.raw(
        f"{asked} SELECT {_of('t', _FOUND)} FROM asked JOIN trips t ON t.vehicle_id = asked.vehicle_id "
        "AND t.started_at >= asked.opens AND t.started_at < asked.closes WHERE t.fleet_id = %s",
        [*params, fleet_id],
    )
    drives = Drives(
        {one.pk: one for one in told},
        {one.pk: one for one in found},
        defaultdict(list),
        Assigned.read(fleet_id, wide),
    )
    _match(fleet_id, wide, drives)
    _name(drives)
    return drives


def _match(fleet_id: int, wide: Sequence[Range], drives: Drives) -> None:
    if not drives.found:
        return
    asked, params = with_ranges([Range(one.vehicle_id, one.start - LONGEST, one.end) for one in wide])
    pairs: Any = TripSummary.objects.raw(
        f"{asked} SELECT {_of('s', _TOLD)}, t.id AS detected FROM asked "
        "JOIN trips t ON t.vehicle_id = asked.vehicle_id AND t.started_at >= asked.opens "
        "AND t.started_at < asked.closes JOIN trip_summaries s ON s.fleet_id = t.fleet_id "
        f"AND s.start_time >= asked.opens AND {MATCHED_SQL} WHERE t.fleet_id = %s ORDER BY s.start_time, s.id",
        [*params, fleet_id],
    )
    for one in pairs:
        trip = drives.found.get(one.detected)
        # A summary that claims to last longer than anything does is a clock that was set.
        if trip is None or one.start_time < trip.started_at - LONGEST:
            continue
        known = drives.matched[trip.pk]
        if one.pk not in {other.pk for other in known}:
            known.append(one)
    drives.matched = dict(drives.matched)


def _name(drives: Drives) -> None:
    for summary in drives.told.values():
        drives.stored[-summary.pk] = summary.driven_by
        summary.driven_by = summary.driver_id or drives.assigned.at(summary.vehicle_id, summary.start_time)
    for pk, trip in drives.found.items():
        drives.stored[pk] = trip.driven_by
        told = told_driver(drives.matched.get(pk, ()))
        trip.driven_by = told or drives.assigned.at(trip.vehicle_id, trip.started_at)


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{name}" for name in columns.split(", "))
