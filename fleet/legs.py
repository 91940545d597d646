"""Trips cut at a fleet's midnights. What is cut adds up again exactly: whole millimetres and milliseconds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from fleet.days import NO_NIGHT, Night, bounds, day_of, days_between, nights
from fleet.models import TripSummary

LONGEST = timedelta(days=3)
"""A trip is spread over so much time at most; what claims to be longer is a clock that was set."""
URGENCIES = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Leg:
    """The part of a trip within one day. Trips and alerts count on the day the trip began."""

    vehicle_id: int
    driver_id: str
    day: date
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
    totals = _totals(trip, end - start)
    first = day_of(zone, start)
    for day in days_between(first, day_of(zone, end)):
        opens, closes = bounds(zone, day)
        low, high = max(start, opens), min(end, closes)
        if low >= high and day != first:
            continue  # it ended at midnight, or the zone left this day out
        sums = {
            name: _until(high, (start, end), total) - _until(low, (start, end), total)
            for name, total in totals.items()
        }
        driven_ms = totals["driving_ms"]
        sums["night_ms"] = sum(
            _until(min(dawn, high), (start, end), driven_ms) - _until(max(dusk, low), (start, end), driven_ms)
            for dusk, dawn in nights(zone, day, night)
            if max(dusk, low) < min(dawn, high)
        )
        if day == first:
            sums |= {"trips": 1} | {f"trip_{urgency}": _told(trip, urgency) for urgency in URGENCIES}
        yield Leg(trip.vehicle_id, trip.driver_id, day, sums)


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
