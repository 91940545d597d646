"""Stored records as samples of a vehicle's motion: one for each moment, in order, the same whatever came when."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from edge.protocol.signals import BY_NAME
from fleet.journeys.movement import IMPOSSIBLE_MPS, Sample
from telemetry.sql import epoch_us, microseconds, moment, on_postgresql, read_all

_NAMES: Final = (
    "speed", "ignition", "latitude", "longitude", "odometer", "charging", "power", "voltage", "current", "battery",
)  # fmt: skip
_BITS: Final = tuple(1 << BY_NAME[name].number for name in _NAMES)
_COLUMNS: Final = ", ".join(f'd."{BY_NAME[name].column}"' for name in _NAMES)


class Wanted(NamedTuple):
    """Records of a vehicle after one event time, up to another."""

    vehicle_id: int
    after_us: int
    until_us: int


class Page(NamedTuple):
    """`whole`: there are no more than these."""

    samples: list[Sample]
    whole: bool


def read(wanted: Sequence[Wanted], limit: int) -> dict[int, Page]:
    """About so many records of each, by vehicle. One statement on PostgreSQL."""
    rows: dict[int, list[tuple[Any, ...]]] = {one.vehicle_id: [] for one in wanted}
    for vehicle, *row in _rows(wanted, limit):
        rows[vehicle].append(tuple(row))
    found: dict[int, Page] = {}
    for one in wanted:
        got = rows[one.vehicle_id]
        if len(got) < limit:
            found[one.vehicle_id] = Page(list(_samples(got)), True)
            continue
        # The last moment may go on: it is read again, whole, with the next page.
        last = got[-1][0]
        part = [row for row in got if row[0] != last]
        page = Page(list(_samples(part)), False)
        found[one.vehicle_id] = page if part else read([one], limit * 4)[one.vehicle_id]
    return found


def _rows(wanted: Sequence[Wanted], limit: int) -> Iterator[tuple[Any, ...]]:
    chosen = f"d.vehicle_id, {epoch_us('d.time')}, d.sent, {_COLUMNS}"
    order = "ORDER BY d.time, d.stream_id, d.sequence LIMIT %s"
    if not on_postgresql():
        for one in wanted:
            yield from read_all(
                f"SELECT {chosen} FROM telemetry_data d "
                f"WHERE d.vehicle_id = %s AND d.time > %s AND d.time <= %s {order}",
                [one.vehicle_id, moment(one.after_us), moment(one.until_us), limit],
            )
        return
    cells = ", ".join(["(%s::bigint, %s::timestamptz, %s::timestamptz)"] * len(wanted))
    params = [
        value for one in wanted for value in (one.vehicle_id, moment(one.after_us), moment(one.until_us))
    ]
    yield from read_all(
        f"WITH s (vehicle, after, until) AS (VALUES {cells}) SELECT q.* FROM s JOIN LATERAL (SELECT {chosen} "
        f"FROM telemetry_data d WHERE d.vehicle_id = s.vehicle AND d.time > s.after AND d.time <= s.until {order}) q "
        "ON true",
        [*params, limit],
    )


def _samples(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sample]:
    """Of several records of a moment the last that says something counts, in order of stream and sequence."""
    for time, same in groupby(rows, key=lambda row: row[0]):
        together: list[float | None] = [None] * len(_NAMES)
        values = filled = 0
        for _, sent, *cells in same:
            for place, cell in enumerate(cells):
                if cell is not None:
                    together[place] = cell
                    values += 1
                    filled += not sent & _BITS[place]
        yield _sample(microseconds(time), together, values, filled)


def _sample(time_us: int, cells: Sequence[float | None], values: int, filled: int) -> Sample:
    speed, ignition, latitude, longitude, odometer, charging, power, voltage, current, battery = cells
    if power is None and voltage is not None and current is not None:
        power = voltage * current / 1000
    if speed is not None and abs(speed) > IMPOSSIBLE_MPS * 3.6:
        speed = None
    return Sample(
        time_us,
        None if speed is None else speed / 3.6,
        None if ignition is None else ignition > 0,
        latitude,
        longitude,
        None if odometer is None else odometer * 1000,
        None if charging is None else charging > 0,
        None if power is None else power * 1000,
        battery,
        values,
        filled,
    )
