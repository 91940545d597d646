"""The one gate before positions: is the vehicle's time private? Whoever shows or keeps a position asks here.

Rows that are derived or told (trips, stops, events, alerts, a vehicle's state) hold no position of private time at all:
who writes them asks a `Shade`, and `masks` blanks what is stored when time becomes private later. Only history holds
them, for what is computed of them; who reads history for people does so through `hidden` or HIDDEN_SQL.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef

from fleet.coarse import names_a_place
from fleet.models import PrivateSpan

SIGNALS: Final = frozenset({"latitude", "longitude", "heading", "altitude"})
"""Where it is, where it looks to and how high: a road's profile of heights tells the road."""
HIDDEN_SQL: Final = (
    "EXISTS (SELECT 1 FROM private_spans p WHERE p.vehicle_id = {vehicle} AND p.ends_at > {time} "
    "AND p.begins_at <= {time})"
)
"""`hidden` as a condition on any table."""
Stretch = tuple[int, datetime, datetime]
"""A vehicle and two moments, both included."""


def names_a_position(name: str) -> bool:
    """Of a signal, or of a further value as its device calls it."""
    return name in SIGNALS or names_a_place(name)


def hidden(vehicle: str = "vehicle", first: str = "time", last: str = "") -> Exists:
    """Of an outer query's row: does it share a moment with private time? With one column: that moment."""
    mine = PrivateSpan.objects.filter(vehicle=OuterRef(vehicle))
    return Exists(mine.filter(ends_at__gt=OuterRef(first), begins_at__lte=OuterRef(last or first)))


class Shade:
    """The private time of some vehicles in some stretch."""

    def __init__(self, spans: Iterable[Stretch]) -> None:
        self._spans: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        for vehicle, begins, ends in spans:
            self._spans[vehicle].append((begins, ends))

    @classmethod
    def over(cls, stretches: Iterable[Stretch]) -> "Shade":
        """One query; none without a stretch."""
        asked = list(stretches)
        if not asked:
            return cls(())
        rows = PrivateSpan.objects.filter(
            vehicle__in={vehicle for vehicle, _, _ in asked},
            ends_at__gt=min(first for _, first, _ in asked),
            begins_at__lte=max(last for _, _, last in asked),
        )
        return cls(rows.values_list("vehicle", "begins_at", "ends_at"))

    def __bool__(self) -> bool:
        return bool(self._spans)

    def meets(self, vehicle: int, first: datetime, last: datetime | None = None) -> bool:
        """Is any moment from `first` to `last` private? Both included."""
        until = last or first
        return any(begins <= until and ends > first for begins, ends in self._spans.get(vehicle, ()))


def shaded(rows: Iterable[Any], first: str, last: str, *names: str) -> None:
    """Blank these columns of rows that share a moment with private time. One query for all."""
    kept = list(rows)
    ends = {id(row): getattr(row, last) or getattr(row, first) for row in kept}
    shade = Shade.over((row.vehicle_id, getattr(row, first), ends[id(row)]) for row in kept)
    if shade:
        for row in kept:
            if shade.meets(row.vehicle_id, getattr(row, first), ends[id(row)]):
                for name in names:
                    setattr(row, name, None)
