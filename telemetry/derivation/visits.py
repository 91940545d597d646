"""Visits of geofences over touched spans: what the stored records say, and the alerts of rules about it.

A fleet's geofences stand in an index (`fleet/geofencing/fences.py`), so that a record costs about the same among ten
of them and among a thousand.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.db.models import Q

from fleet.geofencing import hours
from fleet.geofencing.fencerows import fences_of
from fleet.geofencing.fences import Fence, Fences
from fleet.geofencing.presence import Position, Stay
from fleet.models import Placed, Vehicle, VehicleState, Visit
from fleet.privacy.gate import Shade
from telemetry.derivation import fencerules, readback
from telemetry.derivation.fencing import Again, Judged, onwards
from telemetry.derivation.positions import PLACES, Window, positions_of
from telemetry.derivation.touched import Span
from telemetry.frames import from_us, to_us
from telemetry.retention import since_us

_UPDATED: Final = (
    "entry", "left_at", "exit", "first_at", "last_at", "border_at", "dwelled_at", "on_schedule", "confirmed",
    "geofence_version",
)  # fmt: skip
_EVER_US: Final = 4_102_444_800_000_000
"""2100: no record is of a later time."""
Changed = dict[tuple[int, int], int]
"""Vehicle and geofence, and the begin of the first visit that changed."""


def consume(spans: Sequence[Span]) -> None:
    """A consumer of telemetry.derivation.derive."""
    vehicles = Vehicle.objects.filter(pk__in=[span.vehicle_id for span in spans])
    fleets = dict(vehicles.values_list("pk", "fleet_id"))
    fences = fences_of(sorted(set(fleets.values())))
    ours = [span for span in spans if fleets.get(span.vehicle_id) in fences]
    placed = VehicleState.objects.filter(
        vehicle__in=[span.vehicle_id for span in ours], place_time__isnull=False
    )
    anywhere = set(placed.values_list("pk", flat=True)) if ours else set()
    ours = [span for span in ours if span.vehicle_id in anywhere]
    if not ours:
        return
    rows = readback.between(PLACES, [(span.vehicle_id, span.first_us, span.last_us) for span in ours])
    within = {vehicle: list(positions_of(found)) for vehicle, found in rows.items()}
    of = {span.vehicle_id: fences[fleets[span.vehicle_id]] for span in ours}
    places = {row.vehicle_id: row for row in Placed.objects.filter(vehicle__in=of)}
    kept = since_us(set(fleets.values()))
    kept_us = {span.vehicle_id: kept.get(fleets[span.vehicle_id], 0) for span in ours}
    changed = _write(_judge(ours, of, within, places, kept_us))
    newest = _advance(within, places)
    fencerules.follow(fencerules.News(ours, fleets, changed, newest))


def _judge(
    spans: Sequence[Span],
    of: dict[int, Fences],
    within: dict[int, list[Position]],
    places: dict[int, Placed],
    kept_us: dict[int, int],
) -> Iterator[Judged]:
    begun: dict[int, dict[int, Visit]] = defaultdict(dict)
    for row in Visit.objects.filter(vehicle__in=of, left_at=None):
        begun[row.vehicle_id][row.geofence_id] = row
    for span in spans:
        vehicle, fences, place = span.vehicle_id, of[span.vehicle_id], places.get(span.vehicle_id)
        if not span.appends or place is None or place.time_us >= span.first_us:
            yield from _late(span, fences, within[vehicle], kept_us[vehicle])
        elif within[vehicle]:
            way = [Position(place.time_us, place.latitude_deg, place.longitude_deg), *within[vehicle]]
            for pk in sorted(fences.touched(vehicle, way) | (begun[vehicle].keys() & fences.fences.keys())):
                yield onwards(fences.fences[pk], vehicle, way, begun[vehicle].get(pk))


def _late(span: Span, fences: Fences, within: list[Position], kept_us: int) -> Iterator[Judged]:
    """Nothing is said of what is older than what is kept."""
    vehicle, since = span.vehicle_id, max(fences.since_us, kept_us)
    if span.last_us < since:
        return
    window = Window(span, [position for position in within if position.time_us >= since], since)
    way = window.way
    begin = min(span.first_us, way[0].time_us) if way else span.first_us
    known = Visit.objects.filter(vehicle=vehicle).filter(Q(left_at=None) | Q(left_at__gte=from_us(begin)))
    if window.after(0) is not None:
        known = known.filter(entered_at__lte=from_us(way[-1].time_us))
    there = set(known.values_list("geofence", flat=True)) & fences.fences.keys()
    for pk in sorted(fences.touched(vehicle, way) | there):
        fence = fences.fences[pk]
        if span.last_us >= fence.since_us:
            yield Again(fence, vehicle, window, kept_us).judged()


def _write(judged: Iterable[Judged]) -> Changed:
    changed: Changed = {}
    kept: list[Visit] = []
    gone: list[int] = []

    def note(one: Judged, at: int) -> None:
        key = one.vehicle, one.fence.pk
        changed[key] = min(at, changed.get(key, at))

    every = list(judged)
    shade = Shade.over(
        (one.vehicle, from_us(stay.entered_us), from_us(stay.left_us))
        for one in every
        for stay in one.found
        if stay.first_us is None and stay.left_us is not None
    )
    for one in every:
        stored = {to_us(row.entered_at): row for row in one.stored}
        for stay in one.found:
            row = stored.pop(stay.entered_us, None)
            fresh = None if _is_private(shade, one.vehicle, stay) else _visit(one.fence, one.vehicle, stay)
            if fresh is None:
                if row is not None:
                    stored[stay.entered_us] = row
            elif row is None or any(getattr(row, name) != getattr(fresh, name) for name in _UPDATED):
                kept.append(fresh)
                note(one, stay.entered_us)
        for entered_us, row in stored.items():
            gone.append(row.pk)
            note(one, entered_us)
    if gone:
        Visit.objects.filter(pk__in=gone).delete()
    Visit.objects.bulk_create(
        kept,
        update_conflicts=True,
        unique_fields=["geofence", "vehicle", "entered_at"],
        update_fields=_UPDATED,
    )
    return changed


def _is_private(shade: Shade, vehicle: int, stay: Stay) -> bool:
    """No record is known of it, and both ends, put where the way between two records crosses the border, lie in
    private time: nobody is told where a vehicle was then, nor where it may have been."""
    if stay.first_us is not None or stay.left_us is None:
        return False
    return all(shade.meets(vehicle, from_us(at)) for at in (stay.entered_us, stay.left_us))


def _visit(fence: Fence, vehicle: int, stay: Stay) -> Visit | None:
    """None: it was too short for one."""
    confirmed = stay.lasted(fence.min_stay_us)
    if not confirmed and stay.left_us is not None:
        return None
    dwelled = fence.dwell_us is not None and stay.lasted(fence.dwell_us)
    return Visit(
        geofence_id=fence.pk,
        vehicle_id=vehicle,
        entered_at=from_us(stay.entered_us),
        entry=stay.entry,
        left_at=_moment(stay.left_us),
        exit=stay.exit,
        first_at=_moment(stay.first_us),
        last_at=_moment(stay.last_us),
        border_at=_moment(stay.border_us),
        dwelled_at=from_us(stay.entered_us + (fence.dwell_us or 0)) if dwelled else None,
        on_schedule=_on_schedule(fence, stay),
        confirmed=confirmed,
        geofence_version=fence.version,
    )


def _moment(us: int | None) -> Any:
    return None if us is None else from_us(us)


def _on_schedule(fence: Fence, stay: Stay) -> bool:
    if not fence.schedule:
        return True
    begin, end = from_us(stay.entered_us), from_us(stay.known_us)
    return any(True for _ in hours.windows(list(fence.schedule), fence.zone, begin, end))


def _advance(within: dict[int, list[Position]], places: dict[int, Placed]) -> dict[int, int]:
    """Where the next records go on from; answers the time of each vehicle's newest position."""
    newest = {vehicle: place.time_us for vehicle, place in places.items()}
    fresh = {
        vehicle: positions[-1]
        for vehicle, positions in within.items()
        if vehicle in places and positions and positions[-1].time_us >= newest[vehicle]
    }
    # None is known of a vehicle that is new, or where the newest one became private: late records are not the newest.
    for vehicle in within.keys() - places.keys():
        if (last := next(positions_of(readback.before(PLACES, vehicle, _EVER_US, 0)), None)) is not None:
            fresh[vehicle] = last
    rows = [
        Placed(vehicle_id=vehicle, time_us=at.time_us, latitude_deg=at.latitude, longitude_deg=at.longitude)
        for vehicle, at in fresh.items()
    ]
    Placed.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["vehicle"],
        update_fields=["time_us", "latitude_deg", "longitude_deg"],
    )  # fmt: skip
    return newest | {vehicle: at.time_us for vehicle, at in fresh.items()}
