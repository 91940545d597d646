"""Positions of stored records: of a moment one, in order, and around a span as far as somebody needs them."""

from collections.abc import Iterable, Iterator
from typing import Final

from fleet.geofencing.presence import Position
from telemetry.derivation import readback
from telemetry.derivation.readback import Columns, Row
from telemetry.derivation.touched import Span

PLACES: Final = Columns.of(["latitude", "longitude"])


def positions_of(rows: Iterable[Row]) -> Iterator[Position]:
    """Rows in either order of time. Of several of a moment the same one, whichever came first.

    Longitude and latitude of exactly zero are what receivers without a fix send.
    """
    held: Position | None = None
    for row in rows:
        found = _position(row)
        if found is None:
            continue
        if held is not None and held.time_us == found.time_us:
            held = min(held, found)
            continue
        if held is not None:
            yield held
        held = found
    if held is not None:
        yield held


def _position(row: Row) -> Position | None:
    latitude, longitude = row.values.get("latitude"), row.values.get("longitude")
    if latitude is None or longitude is None or (latitude == 0.0 and longitude == 0.0):
        return None
    if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
        return None
    return Position(row.time_us, latitude, longitude)


class Window:
    """Positions of one vehicle before, within and after a span of late records; read page by page."""

    def __init__(self, span: Span, within: list[Position], floor_us: int) -> None:
        self.within = within
        self._before: list[Position] = []
        self._after: list[Position] = []
        self._back = positions_of(readback.before(PLACES, span.vehicle_id, span.first_us, floor_us))
        self._on = positions_of(readback.after(PLACES, span.vehicle_id, span.last_us))

    def before(self, place: int) -> Position | None:
        """The one before the span for 0, then farther back."""
        while len(self._before) <= place:
            found = next(self._back, None)
            if found is None:
                return None
            self._before.append(found)
        return self._before[place]

    def after(self, place: int) -> Position | None:
        """The first one behind the span for 0."""
        while len(self._after) <= place:
            found = next(self._on, None)
            if found is None:
                return None
            self._after.append(found)
        return self._after[place]

    @property
    def way(self) -> list[Position]:
        """What late records may have changed: from the last position before them to the first one behind."""
        ends = self.before(0), self.after(0)
        return [*filter(None, ends[:1]), *self.within, *filter(None, ends[1:])]

    def stretch(self, before: int, after: int) -> list[Position]:
        """So many before the span, those within, so many behind it."""
        return [*reversed(self._before[:before]), *self.within, *self._after[:after]]
