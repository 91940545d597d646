"""Records of private time on their way to people, and what is found anew when time becomes private, or is not."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Max, Min
from django.db.models.functions import Coalesce

from edge.protocol.signals import BY_NAME
from fleet.aggregation.legs import span
from fleet.models import ChargingSession, Driver, Placed, Stop, Trip, TripSummary
from fleet.privacy import erasing, personfile
from fleet.privacy.gate import SIGNALS, Shade, Stretch, names_a_position
from fleet.privacy.spans import followers
from telemetry.derivation.touched import PACED, QUICK
from telemetry.frames import Record, from_us, to_us
from telemetry.models import TelemetryRecord
from telemetry.sql import moment
from telemetry.tracks import RECORDS

_COLUMNS = tuple(BY_NAME[name].column for name in sorted(SIGNALS))
_TRIPS = 2_000
_NUMBERS = frozenset(BY_NAME[name].number for name in SIGNALS)


class Private:
    """Which of some records of the inbox are of private time. One query a pass."""

    def __init__(self, records: Sequence[Record]) -> None:
        ends: dict[int, tuple[int, int]] = {}
        for record in records:
            low, high = ends.get(record.vehicle_id, (record.time_us, record.time_us))
            ends[record.vehicle_id] = min(low, record.time_us), max(high, record.time_us)
        self._shade = Shade.over((v, from_us(low), from_us(high)) for v, (low, high) in ends.items())

    def at(self, record: Record) -> bool:
        return bool(self._shade) and self._shade.meets(record.vehicle_id, from_us(record.time_us))

    def shown(self, records: Iterable[Record]) -> Iterator[Record]:
        """Without what names a position, where that is nobody's business."""
        for record in records:
            yield _bare(record) if self.at(record) else record


def _bare(record: Record) -> Record:
    extra = record.extra and {n: v for n, v in record.extra.items() if not names_a_position(n)}
    signals = {number: value for number, value in record.signals.items() if number not in _NUMBERS}
    return record._replace(signals=signals, extra=extra)


def register() -> None:
    followers.changed = [_follow]
    erasing.followers.positions = [_forget]
    personfile.further.own = [_tracks]


def _forget(stretches: list[Stretch]) -> None:
    """Positions of erased trips, for good. Further values and decoder states may hold them too, and go whole."""
    gone = ", ".join(f'"{name}" = NULL' for name in (*_COLUMNS, "extra", "decoder"))
    known = " OR ".join(f'"{name}" IS NOT NULL' for name in (*_COLUMNS, "extra", "decoder"))
    for vehicle, begin, end in stretches:
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE telemetry_data SET {gone} WHERE vehicle_id = %s AND time >= %s AND time < %s AND ({known})",
                [vehicle, moment(to_us(begin)), moment(to_us(end))],
            )


def _tracks(driver: Driver, trips: list[TripSummary]) -> dict[str, Any]:
    """Where they drove, for their own eyes: private trips too."""
    found = {}
    for trip in trips[-_TRIPS:]:
        begin, end = span(trip)
        rows = TelemetryRecord.objects.filter(vehicle=trip.vehicle_id, time__gte=begin, time__lte=end)
        points = rows.exclude(latitude_deg=None).order_by("time")[:RECORDS]
        found[trip.trip_id] = list(points.values_list("time", "latitude_deg", "longitude_deg"))
    return {"tracks.json": found}


def _over(vehicle: int, begin: datetime, end: datetime) -> datetime:
    """When the last trip, stop or charging session that shares a moment with the stretch was over: whoever looks for
    them again stops where everything goes on as before, and a place that may be shown again is no part of that."""
    ends = [end]
    for model in (Trip, Stop, ChargingSession):
        mine = model._default_manager.filter(vehicle=vehicle, started_at__lte=end, ended_at__gte=begin)
        last = mine.aggregate(last=Max(Coalesce("settled_at", "ended_at")))["last"]
        ends += [last] if last else []
    return max(ends)


def _follow(changed: list[Stretch]) -> None:
    """Visits, episodes, trips and driving events of these stretches are found anew, as far as there are records."""
    touched = []
    for vehicle, begin, until in changed:
        end = _over(vehicle, begin, until)
        rows = TelemetryRecord.objects.filter(vehicle=vehicle, time__gte=begin, time__lte=end)
        found = rows.aggregate(first=Min("time"), last=Max("time"))
        if found["first"] is not None:
            touched.append((vehicle, to_us(found["first"]), to_us(found["last"])))
    # Where the next records would go on from.
    for vehicle, first, last in touched:
        Placed.objects.filter(vehicle=vehicle, time_us__gte=first, time_us__lte=last).delete()
    merged: dict[int, tuple[int, int]] = {}
    for vehicle, first, last in touched:
        low, high = merged.get(vehicle, (first, last))
        merged[vehicle] = min(low, first), max(high, last)
    spans = [(vehicle, low, high) for vehicle, (low, high) in merged.items()]
    for lane in (QUICK, PACED):
        lane.widen(spans, at_once=True)
