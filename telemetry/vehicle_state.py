"""Keeps fleet.VehicleState: the newest record of each vehicle, by event time. Called by the drain only."""

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from edge.protocol.signals import BY_NUMBER, names_in
from telemetry import store
from telemetry.frames import Record
from telemetry.lastknown import (
    KNOWN_COLUMNS,
    KNOWN_TYPES,
    Further,
    Known,
    keep_newest,
    numbers_of,
    order_of,
    save_further,
    sets,
)
from telemetry.models import Quality
from telemetry.private import Private
from telemetry.sql import among, epoch_us, microseconds, read_all, write_rows

_COLUMNS = (
    "vehicle_id", "time", "received_at", "speed_kmh", "values", "reconstructed", "quality", "silent_at",
    *KNOWN_COLUMNS,
)  # fmt: skip
_TYPES = ("bigint", *["timestamptz"] * 2, "float8", "jsonb", "jsonb", "text", "timestamptz", *KNOWN_TYPES)
_NAMES = {number: signal.name for number, signal in BY_NUMBER.items()}
_LABELS = {quality.value: quality.label for quality in Quality}


@dataclass(frozen=True, slots=True)
class Update:
    """A vehicle's new state, for whoever watches."""

    vehicle_id: int
    fleet_id: int
    slug: str
    vin: str
    time_us: int
    received_us: int
    values: dict[str, float]
    reconstructed: list[str]
    quality: str
    further: dict[str, float] = field(default_factory=dict)
    """Further numbers of the record shown."""
    silent_us: int | None = None
    """If nothing comes until then, somebody wants to know."""
    private: bool = False
    """Where it was then is nobody's business."""


class Advance(NamedTuple):
    """What became of the records: news for who watches, and vehicles whose records somebody derives from."""

    updates: list[Update]
    watched: frozenset[int]


class _Shown(NamedTuple):
    """Who a vehicle is, and what its state shows now."""

    fleet_id: int
    slug: str
    vin: str
    time_us: int | None
    received_us: int
    watched: bool
    """Its fleet has rules or geofences."""
    silent_after_us: int | None
    """The shortest silence that any of them asks about."""

    def silent_us(self, received_us: int) -> int | None:
        return None if self.silent_after_us is None else received_us + self.silent_after_us


def advance(records: Sequence[Record]) -> Advance:
    """Bring the states of these records' vehicles up to date; one update per vehicle that shows something new."""
    newest: dict[int, Record] = {}
    heard: dict[int, int] = {}
    known: dict[int, Known] = defaultdict(Known)
    further: dict[int, Further] = {}
    private = Private(records)
    for record in private.shown(records):
        numbers = numbers_of(record)
        if numbers:
            keep_newest(further.setdefault(record.vehicle_id, {}), numbers)
        before = newest.get(record.vehicle_id)
        if before is None or order_of(record) >= order_of(before):
            newest[record.vehicle_id] = record
        heard[record.vehicle_id] = max(heard.get(record.vehicle_id, 0), record.received_us)
    for record in records:
        known[record.vehicle_id].see(record, private=private.at(record))
    updates: list[Update] = []
    late: list[tuple[int, int, int | None]] = []
    watched: set[int] = set()
    for vehicle_id, shown in _shown(list(newest)):
        if shown.watched:
            watched.add(vehicle_id)
        record, received_us = newest[vehicle_id], max(heard[vehicle_id], shown.received_us)
        if shown.time_us is None or record.time_us > shown.time_us:
            updates.append(_update(shown, record, received_us, private.at(record)))
        elif record.time_us < shown.time_us:
            late.append((vehicle_id, received_us, shown.silent_us(received_us)))
        else:  # of several records of the same moment the state shows one, whichever came first
            same = store.records_at(vehicle_id, record.time_us)
            for one in same:
                known[vehicle_id].see(one, private=private.at(one))
            latest = max(private.shown(same), key=order_of)
            updates.append(_update(shown, latest, received_us, private.at(latest)))
    _save(updates, known)
    _save_late(late, known)
    save_further(further)
    return Advance(updates, frozenset(watched))


def heard(vehicles: Collection[int]) -> None:
    """Only what is too old to be kept came from them: they are not silent all the same."""
    if vehicles:
        now_us = time.time_ns() // 1000
        rows = _shown(sorted(vehicles))
        known = defaultdict(Known)  # type: ignore[var-annotated]
        _save_late([(pk, now_us, shown.silent_us(now_us)) for pk, shown in rows], known)


def _shown(vehicles: Sequence[int]) -> list[tuple[int, _Shown]]:
    if not vehicles:
        return []
    condition, ids = among("v.id", vehicles)
    rows = read_all(
        f"SELECT v.id, v.fleet_id, v.slug, v.vin, {epoch_us('s.time')}, {epoch_us('s.received_at')}, "
        "r.fleet_id IS NOT NULL OR EXISTS (SELECT 1 FROM geofences g WHERE g.fleet_id = v.fleet_id), r.silent_after_s "
        "FROM vehicles v LEFT JOIN vehicle_state s ON s.vehicle_id = v.id "
        # Whom rules concern is decided with the vehicle's row in hand; most fleets have few, many none.
        "LEFT JOIN (SELECT fleet_id, min(silent_after_s) AS silent_after_s FROM alert_rules "
        "WHERE enabled GROUP BY fleet_id) r ON r.fleet_id = v.fleet_id "
        f"WHERE {condition}",
        ids,
    )
    return [
        (
            vehicle_id,
            _Shown(
                fleet,
                slug,
                vin or "",
                None if time is None else microseconds(time),
                0 if time is None else microseconds(received),
                bool(watched),
                None if silent_after_s is None else silent_after_s * 1_000_000,
            ),
        )
        for vehicle_id, fleet, slug, vin, time, received, watched, silent_after_s in rows
    ]


def _update(shown: _Shown, record: Record, received_us: int, private: bool) -> Update:
    signals = record.signals
    fresh = {_NAMES[number]: value for number, value in signals.items()}
    return Update(
        record.vehicle_id,
        shown.fleet_id,
        shown.slug,
        shown.vin,
        record.time_us,
        received_us,
        fresh,
        [name for name in names_in(~record.sent) if name in fresh],
        _LABELS[record.quality],
        {name: value for name, value in (record.extra or {}).items() if isinstance(value, int | float)},
        shown.silent_us(received_us),
        private,
    )


def _save(updates: Sequence[Update], known: dict[int, Known]) -> None:
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    write_rows(
        f"INSERT INTO vehicle_state ({names}) {{values}} "
        f"ON CONFLICT (vehicle_id) DO UPDATE SET {sets(_COLUMNS[1:], 'excluded')}",
        _TYPES,
        [
            (
                update.vehicle_id,
                update.time_us,
                update.received_us,
                update.values.get("speed"),
                orjson.dumps(update.values).decode(),
                orjson.dumps(update.reconstructed).decode(),
                update.quality,
                update.silent_us,
                *known[update.vehicle_id].columns(),
            )
            for update in updates
        ],
    )


def _save_late(late: Sequence[tuple[int, int, int | None]], known: dict[int, Known]) -> None:
    """Only old records came: what is shown stays, but the vehicle was heard of, and may have told where it was."""
    names = ("vehicle_id", "received_at", "silent_at", *KNOWN_COLUMNS)
    write_rows(
        f"WITH heard ({', '.join(names)}) AS ({{values}}) "
        f"UPDATE vehicle_state SET {sets(names[1:], 'heard')} FROM heard "
        "WHERE vehicle_state.vehicle_id = heard.vehicle_id",
        ("bigint", "timestamptz", "timestamptz", *KNOWN_TYPES),
        [(vehicle_id, *heard, *known[vehicle_id].columns()) for vehicle_id, *heard in late],
    )
