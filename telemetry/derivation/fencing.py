"""One geofence and one vehicle: the stays that the stored records say there were, after some of them changed.

Records that only add at the end go on from the open visit. Late ones are judged again from the last position before
them at which it is certain whether the vehicle was there, to the first one behind them at which nothing can have
changed: beyond the border, or within it in the middle of a visit that is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import shapely

from fleet.geofencing.fences import Fence
from fleet.geofencing.presence import GAP_US, Position, Stay, Track, stays
from fleet.models import Visit
from telemetry.derivation.positions import Window
from telemetry.frames import from_us, to_us


@dataclass(frozen=True, slots=True)
class Judged:
    """Stored visits of a geofence and a vehicle, and the stays that stand in their place now."""

    fence: Fence
    vehicle: int
    stored: list[Visit]
    found: list[Stay]


class _Bound(NamedTuple):
    """So many positions beside the span; `certain`: at the last of them it is known what went on."""

    places: int
    certain: bool
    visit: Visit | None = None


def stay_of(row: Visit) -> Stay:
    return Stay(
        to_us(row.entered_at),
        row.entry,
        first_us=_us(row.first_at),
        last_us=_us(row.last_at),
        border_us=_us(row.border_at),
        left_us=_us(row.left_at),
        exit=row.exit,
    )


def _us(at: datetime | None) -> int | None:
    return None if at is None else to_us(at)


def _later(one: int | None, other: int | None) -> int | None:
    """None: it goes on."""
    return None if one is None or other is None else max(one, other)


def onwards(fence: Fence, vehicle: int, way: Sequence[Position], begun: Visit | None) -> Judged:
    """`way`: the last position that was derived from, and those that were added."""
    ours = [position for position in way if position.time_us >= fence.since_us]
    known = len(ours) == len(way)
    stay = stay_of(begun) if begun and known else None
    found, now = stays(Track(fence.shape, ours), stay, start=int(known)) if ours else ([], None)
    return Judged(fence, vehicle, [begun] if begun else [], [*found, *([now] if now else [])])


class Again:
    """Late records in a window, as they concern one geofence."""

    def __init__(self, fence: Fence, vehicle: int, window: Window, kept_us: int = 0) -> None:
        """`kept_us`: before it records may be gone."""
        self.fence, self.vehicle, self.window = fence, vehicle, window
        self.since_us, self.gone = max(fence.since_us, kept_us), kept_us > fence.since_us
        self._mine = Visit.objects.filter(
            geofence=fence.pk, vehicle=vehicle, entered_at__gte=from_us(fence.since_us)
        )
        self._covering: Visit | None = None

    def judged(self) -> Judged:
        begin, end = self._begin(), self._end()
        ours = [p for p in self.window.stretch(begin.places, end.places) if p.time_us >= self.since_us]
        stay = None
        if begin.visit is not None:
            first_us = ours[0].time_us
            stay = replace(stay_of(begin.visit), last_us=first_us, border_us=None, left_us=None, exit="")
        found, now = stays(Track(self.fence.shape, ours), stay, int(begin.certain)) if ours else ([], None)
        if now is not None and end.visit is not None:
            old = stay_of(end.visit)
            now = replace(
                now, last_us=old.last_us, border_us=old.border_us, left_us=old.left_us, exit=old.exit
            )
        if now is not None:
            found.append(now)
        end_us = ours[-1].time_us if end.certain else None
        if self.gone and not begin.certain:
            first_us = ours[0].time_us if ours else self.since_us
            return self._beyond(first_us, end_us, found)
        begin_us = ours[0].time_us if begin.certain else None
        return Judged(self.fence, self.vehicle, self._stored(begin_us, end_us, begin.visit), found)

    def _beyond(self, first_us: int, end_us: int | None, found: list[Stay]) -> Judged:
        """What went on before the first record that is kept is not known any more: visits begun before it stay, and
        so does what shares a moment with them."""
        older = self._mine.filter(entered_at__lt=from_us(first_us)).order_by("-entered_at").first()
        until_us: int | None = first_us - 1
        if older is not None:
            until_us = _later(until_us, _us(older.left_at))
        for stay in found:
            if until_us is not None and stay.entered_us <= until_us:
                until_us = _later(until_us, stay.left_us)
        if until_us is None:
            return Judged(self.fence, self.vehicle, [], [])
        stored = self._stored(until_us, end_us, None)
        return Judged(
            self.fence, self.vehicle, stored, [stay for stay in found if stay.entered_us > until_us]
        )

    def _begin(self) -> _Bound:
        """How far before the span to look, and what went on there."""
        place = 0
        while (position := self.window.before(place)) is not None and position.time_us >= self.since_us:
            following = self.window.before(place - 1) if place else None
            if following and following.time_us - position.time_us > GAP_US:
                return _Bound(place + 1, True)
            if (bound := self._bound(place, position)) is not None:
                return bound
            place += 1
        return _Bound(place, False)

    def _end(self) -> _Bound:
        """How far behind the span, and the visit whose rest cannot have changed."""
        place = 0
        while (position := self.window.after(place)) is not None:
            if position.time_us >= self.since_us and (bound := self._bound(place, position)) is not None:
                return bound
            place += 1
        return _Bound(place, False)

    def _bound(self, place: int, position: Position) -> _Bound | None:
        inside, near = self._at(position)
        if not near:
            return _Bound(place + 1, True)
        if inside and (visit := self._visit_at(position.time_us)):
            return _Bound(place + 1, True, visit)
        return None

    def _at(self, position: Position) -> tuple[bool, bool]:
        shape = self.fence.shape
        east = (position.longitude - shape.meridian + 180.0) % 360.0 - 180.0
        if shapely.intersects_xy(shape.inner, east, position.latitude):
            return True, True
        return False, bool(shapely.intersects_xy(shape.outer, east, position.latitude))

    def _visit_at(self, time_us: int) -> Visit | None:
        """The stored visit that this record is one of."""
        for row in (self._covering, None):
            found = row or self._mine.filter(entered_at__lte=from_us(time_us)).order_by("-entered_at").first()
            if found is None or found.first_at is None or found.last_at is None:
                continue
            if to_us(found.first_at) <= time_us <= to_us(found.last_at):
                self._covering = found
                return found
        return None

    def _stored(self, begin_us: int | None, end_us: int | None, begun: Visit | None) -> list[Visit]:
        rows = self._mine
        if begin_us is not None:
            rows = rows.filter(entered_at__gt=from_us(begin_us))
        if end_us is not None:
            rows = rows.filter(entered_at__lte=from_us(end_us))
        return [*([begun] if begun else []), *(row for row in rows if begun is None or row.pk != begun.pk)]
