"""Trips cut at a fleet's hours. What is cut adds up again exactly: whole millimetres and milliseconds."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from fleet.aggregation.days import NO_NIGHT, Night, day_of, days_between, nights
from fleet.aggregation.hours import cuts
from fleet.models import TripSummary

LONGEST = timedelta(days=3)
"""A trip is spread over so much time at most; what claims to be longer is a clock that was set."""
URGENCIES = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Leg:
    """The part of a trip within one hour. Trips and alerts count in the hour the trip began."""

    vehicle_id: int
    driver_id: str
    day: date
    hour: datetime
    """Its first moment."""
    sums: dict[str, int]
    """By column of fleet.models.rollups.Driven."""


def span(trip: TripSummary) -> tuple[datetime, datetime]:
    """From when until when it is taken to have lasted; a trip that goes on, as far as it was told."""
    start = trip.start_time
    end = trip.end_time or start + timedelta(seconds=min(trip.duration_s or 0.0, LONGEST.total_seconds()))
    return start, min(end, start + LONGEST)


def utc_days(trip: TripSummary) -> set[date]:
    """What to touch when this trip comes, changes or goes."""
    start, end = span(trip)
    return set(days_between(start.astimezone(UTC).date(), end.astimezone(UTC).date()))


def legs(trip: TripSummary, zone: str, night: Night = NO_NIGHT) -> Iterator[Leg]:
    start, end = span(trip)
    lasted = start, end
    totals = _totals(trip, end - start)
    told = {"trips": 1} | {f"trip_{urgency}": _told(trip, urgency) for urgency in URGENCIES}
    first = day_of(zone, start)
    for day in days_between(first, day_of(zone, end)):
        dark = nights(zone, day, night)
        for opens, closes in _hours(cuts(zone, day), start, end):
            low, high = max(start, opens), min(end, closes)
            if low >= high and not told:
                continue  # it ended with the hour
            sums = {
                name: _until(high, lasted, total) - _until(low, lasted, total)
                for name, total in totals.items()
            }
            driven_ms = totals["driving_ms"]
            sums["night_ms"] = sum(
                _until(min(dawn, high), lasted, driven_ms) - _until(max(dusk, low), lasted, driven_ms)
                for dusk, dawn in dark
                if max(dusk, low) < min(dawn, high)
            )
            yield Leg(trip.vehicle_id, trip.driven_by or trip.driver_id, day, opens, sums | told)
            told = {}


def _hours(
    found: tuple[datetime, ...], start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Those of a day in which a trip lies, and at least the one in which it began."""
    place = max(0, bisect_right(found, start) - 1)
    while place < len(found) - 1 and (found[place] <= start or found[place] < end):
        yield found[place], found[place + 1]
        place += 1


def _totals(trip: TripSummary, lasted: timedelta) -> dict[str, int]:
    distance_mm = round((trip.distance_m or 0.0) * 1000)
    seconds = lasted.total_seconds() if trip.duration_s is None else trip.duration_s
    return {
        "distance_mm": distance_mm,
        "driving_ms": round(min(seconds, LONGEST.total_seconds()) * 1000),
        "risk_mm": round(distance_mm * (trip.mean_risk or 0.0)),
        "scored_mm": 0 if trip.mean_risk is None else distance_mm,
        "counted_mm": distance_mm if trip.alerts else 0,
    }


def _until(moment: datetime, lasted: tuple[datetime, datetime], total: int) -> int:
    """How much of `total` had happened at that moment. A trip without length happened when it began."""
    start, end = lasted
    if end <= start:
        return total if moment > start else 0
    return total * ((moment - start) // _TICK) // ((end - start) // _TICK)


_TICK = timedelta(microseconds=1)


def _told(trip: TripSummary, urgency: str) -> int:
    """Alerts of this urgency, in whatever case the device wrote it."""
    return sum(
        count
        for name, count in trip.alerts.items()
        if str(name).lower() == urgency and isinstance(count, int)
    )
