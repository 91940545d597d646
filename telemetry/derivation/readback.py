"""Stored records as plain values, for what is derived from them: around a span, in order of event time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from edge.protocol.signals import BY_NAME
from fleet.privacy.gate import HIDDEN_SQL
from fleet.privacy.gate import SIGNALS as HIDDEN
from telemetry.sql import epoch_us, microseconds, moment, on_postgresql, read_all
from telemetry.store import json_of

_PAGE_FIRST, _PAGE = 50, 2_000
_PRIVATE = HIDDEN_SQL.format(vehicle="d.vehicle_id", time="d.time")
Range = tuple[int, int, int]
"""Vehicle, first and last event time in microseconds, both included."""


class Row(NamedTuple):
    """Of one moment there may be several."""

    time_us: int
    values: dict[str, Any]
    """By name: the signals asked for, and further values; only what is known."""


def _shown(name: str) -> str:
    """A signal's column. What rules and geofences follow becomes an alert: positions of private time are not known."""
    column = f'd."{BY_NAME[name].column}"'
    return f"CASE WHEN {_PRIVATE} THEN NULL ELSE {column} END" if name in HIDDEN else column


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read of a record."""

    signals: tuple[str, ...]
    extra: bool

    @classmethod
    def of(cls, names: Iterable[str]) -> "Columns":
        wanted = set(names)
        signals = tuple(sorted(name for name in wanted if name in BY_NAME))
        return cls(signals, len(signals) < len(wanted))

    @property
    def sql(self) -> str:
        listed = [_shown(name) for name in self.signals] + ["d.extra"] * self.extra
        return "".join(f", {column}" for column in listed)

    @property
    def known(self) -> str:
        """Rows that say anything."""
        listed = [f'd."{BY_NAME[name].column}"' for name in self.signals] + ["d.extra"] * self.extra
        return " OR ".join(f"{column} IS NOT NULL" for column in listed)

    def row(self, time: Any, cells: Sequence[Any]) -> Row:
        values = {name: cell for name, cell in zip(self.signals, cells, strict=False) if cell is not None}
        if self.extra and cells[-1] is not None:
            values = {**json_of(cells[-1]), **values}
        return Row(microseconds(time), values)


def between(columns: Columns, ranges: Sequence[Range]) -> dict[int, list[Row]]:
    """All records in these ranges, one for each vehicle, by vehicle. One statement."""
    found: dict[int, list[Row]] = {vehicle: [] for vehicle, _, _ in ranges}
    if not ranges or not (columns.signals or columns.extra):
        return found
    chosen = f"d.vehicle_id, {epoch_us('d.time')}{columns.sql}"
    within = "telemetry_data d WHERE d.vehicle_id = s.vehicle AND d.time BETWEEN s.first AND s.last"
    if on_postgresql():
        # OFFSET 0 keeps the planner from anything but a short walk along the index for each vehicle.
        query = f"SELECT q.* FROM s JOIN LATERAL (SELECT {chosen} FROM {within} ORDER BY d.time OFFSET 0) q ON true"
    else:
        query = f"SELECT {chosen} FROM s CROSS JOIN {within} ORDER BY s.vehicle, d.time"
    cells = ", ".join(["(%s, %s, %s)"] * len(ranges))
    params = [value for vehicle, first, last in ranges for value in (vehicle, moment(first), moment(last))]
    for vehicle, time, *rest in read_all(
        f"WITH s (vehicle, first, last) AS (VALUES {cells}) {query}", params
    ):
        found[vehicle].append(columns.row(time, rest))
    return found


def before(columns: Columns, vehicle: int, time_us: int, floor_us: int) -> Iterator[Row]:
    """Backwards from just before `time_us` down to `floor_us`; read page by page, as far as it is taken."""
    yield from _walk(columns, vehicle, ("<", time_us), (">=", floor_us), "DESC")


def after(columns: Columns, vehicle: int, time_us: int) -> Iterator[Row]:
    """Forwards from just after `time_us`."""
    yield from _walk(columns, vehicle, (">", time_us), None, "ASC")


def _walk(
    columns: Columns, vehicle: int, start: tuple[str, int], stop: tuple[str, int] | None, order: str
) -> Iterator[Row]:
    (sign, place), size = start, _PAGE_FIRST
    while True:
        where = f"d.vehicle_id = %s AND d.time {sign} %s"
        params = [vehicle, moment(place)]
        if stop is not None:
            where, params = f"{where} AND d.time {stop[0]} %s", [*params, moment(stop[1])]
        rows = read_all(
            f"SELECT {epoch_us('d.time')}{columns.sql} FROM telemetry_data d WHERE {where} AND ({columns.known}) "
            f"ORDER BY d.time {order} LIMIT %s",
            [*params, size],
        )
        page = [columns.row(time, cells) for time, *cells in rows]
        if len(page) < size:
            yield from page
            return
        # The last moment of a full page may go on: it is read again, whole, with the next one.
        last = page[-1].time_us
        whole = [row for row in page if row.time_us != last]
        if whole:
            yield from whole
            place = whole[-1].time_us
        size = _PAGE if whole else size * 4


def nth_time(vehicle: int, first_us: int, last_us: int, count: int) -> int | None:
    """Event time of the record that many places after the first of the span; None: it has fewer."""
    rows = read_all(
        f"SELECT {epoch_us('time')} FROM telemetry_data WHERE vehicle_id = %s AND time BETWEEN %s AND %s "
        "ORDER BY time LIMIT 1 OFFSET %s",
        [vehicle, moment(first_us), moment(last_us), count],
    )
    return microseconds(rows[0][0]) if rows else None
