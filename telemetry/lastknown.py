"""What a vehicle's records told last, each value with its own age: a record need not tell everything."""

from collections.abc import Sequence

import orjson

from edge.protocol.signals import BY_NAME, BY_NUMBER
from telemetry.frames import Record
from telemetry.sql import among, read_all, write_rows

_LATITUDE, _LONGITUDE, _HEADING, _BATTERY = (
    BY_NAME[name].number for name in ("latitude", "longitude", "heading", "battery")
)
_NAMES = {number: signal.name for number, signal in BY_NUMBER.items()}
_LIMIT = 512
KNOWN_COLUMNS = (
    "place_time", "latitude_deg", "longitude_deg", "heading_deg", "battery_time", "battery_percent",
)  # fmt: skip
KNOWN_TYPES = ("timestamptz", *["float8"] * 3, "timestamptz", "float8")
Further = dict[str, tuple[float, float]]
"""Name to value and Unix seconds."""


def order_of(record: Record) -> tuple[int, int, int]:
    return record.time_us, record.sequence, record.stream_id


class Known:
    """The newest place and state of charge among some records of a vehicle: a record need not tell them."""

    __slots__ = ("battery", "place", "private")

    def __init__(self) -> None:
        self.place: Record | None = None
        self.battery: Record | None = None
        self.private = False
        """The newest place is of private time: it is known that there was one, not where."""

    def see(self, record: Record, *, private: bool = False) -> None:
        signals = record.signals
        if (
            _LATITUDE in signals
            and _LONGITUDE in signals
            and (self.place is None or order_of(record) >= order_of(self.place))
        ):
            self.place, self.private = record, private
        if _BATTERY in signals and (self.battery is None or order_of(record) >= order_of(self.battery)):
            self.battery = record

    def columns(self) -> tuple[int | float | None, ...]:
        """Values for KNOWN_COLUMNS."""
        place, battery = self.place, self.battery
        return (
            *(
                (None,) * 4
                if place is None
                else (place.time_us, None, None, None)
                if self.private
                else (place.time_us, *map(place.signals.get, (_LATITUDE, _LONGITUDE, _HEADING)))
            ),
            *((None, None) if battery is None else (battery.time_us, battery.signals[_BATTERY])),
        )


_NEWER = {
    name: f"(vehicle_state.{time} IS NULL OR {{fresh}}.{time} >= vehicle_state.{time})"
    for time, names in (
        ("place_time", ("place_time", "latitude_deg", "longitude_deg", "heading_deg")),
        ("battery_time", ("battery_time", "battery_percent")),
    )
    for name in names
}


def sets(names: Sequence[str], fresh: str) -> str:
    """Place and charge stay what was known last, whatever order they came in; everything else is replaced."""
    return ", ".join(
        f'"{name}" = {fresh}."{name}"'
        if name not in _NEWER
        else f'"{name}" = CASE WHEN {_NEWER[name].format(fresh=fresh)} '
        f'THEN {fresh}."{name}" ELSE vehicle_state."{name}" END'
        for name in names
    )


def numbers_of(record: Record) -> Further:
    """Numbers with an age of their own: further ones, and all of a record whose sender tells some now, some later."""
    partial = record.stream_id == 0 and (record.decoder or {}).get("keyframe")
    if not record.extra and not partial:
        return {}
    time = record.time_us / 1e6
    found = {
        name: (value, time) for name, value in (record.extra or {}).items() if isinstance(value, int | float)
    }
    if partial:
        found |= {_NAMES[number]: (value, time) for number, value in record.signals.items()}
    return found


def keep_newest(known: Further, news: Further) -> bool:
    """Does `news` change what is known? Of two values of one moment the larger stays, whichever came first."""
    changed = False
    for name, (value, time) in news.items():
        before = known.get(name)
        if before is None or (time, value) > (before[1], before[0]):
            known[name] = value, time
            changed = True
    return changed


def save_further(news: dict[int, Further]) -> None:
    """Each further number has an age of its own: a gateway may send its groups in turns. Two statements, and none
    where no record brought any."""
    if not news:
        return
    condition, ids = among("vehicle_id", list(news))
    rows = read_all(f"SELECT vehicle_id, CAST(further AS text) FROM vehicle_state WHERE {condition}", ids)
    changed: list[tuple[int, str]] = []
    for vehicle_id, text in rows:
        known: Further = {name: (value, time) for name, (value, time) in orjson.loads(text or "{}").items()}
        if keep_newest(known, news[vehicle_id]):
            # So that a device that invents names cannot make the row grow for ever.
            newest = sorted(known.items(), key=lambda item: (item[1][1], item[0]))[-_LIMIT:]
            changed.append((vehicle_id, orjson.dumps(dict(newest)).decode()))
    write_rows(
        "WITH fresh (vehicle_id, further) AS ({values}) UPDATE vehicle_state SET further = fresh.further "
        "FROM fresh WHERE vehicle_state.vehicle_id = fresh.vehicle_id",
        ("bigint", "jsonb"),
        changed,
    )
