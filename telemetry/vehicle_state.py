"""Keeps fleet.VehicleState: the newest record of each vehicle, by event time. Called by the drain only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from edge.protocol.signals import BY_NUMBER, names_in
from fleet.models import Vehicle
from telemetry import store
from telemetry.frames import Record, from_us, to_us
from telemetry.models import Quality
from telemetry.sql import moment, values, write_rows

_COLUMNS = (
    "vehicle_id", "time", "received_at", "latitude_deg", "longitude_deg", "heading_deg", "speed_kmh",
    "battery_percent", "values", "reconstructed", "quality",
)  # fmt: skip
_TYPES = ("bigint", *["timestamptz"] * 2, *["float8"] * 5, "jsonb", "jsonb", "text")
_SUMMARY = ("latitude", "longitude", "heading", "speed", "battery")


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
    is_newest: bool
    """False: only late data came; the state shown did not change."""


def advance(records: Sequence[Record]) -> list[Update]:
    """Bring the states of these records' vehicles up to date; one update per vehicle."""
    newest: dict[int, Record] = {}
    heard: dict[int, int] = {}
    for record in records:
        known = newest.get(record.vehicle_id)
        if known is None or _order(record) >= _order(known):
            newest[record.vehicle_id] = record
        heard[record.vehicle_id] = max(heard.get(record.vehicle_id, 0), record.received_us)
    if not newest:
        return []
    rows = Vehicle.objects.filter(pk__in=newest).values_list(
        "id", "fleet_id", "slug", "vin", "state__time", "state__received_at", "state__values",
        "state__reconstructed", "state__quality",
    )  # fmt: skip
    updates = [_update(row, _winner(newest[row[0]], row[4]), heard[row[0]]) for row in rows]
    _save(updates)
    return updates


def _order(record: Record) -> tuple[int, int, int]:
    return record.time_us, record.sequence, record.stream_id


def _winner(record: Record, shown: datetime | None) -> Record:
    """Of several records of the same moment the state shows one, whichever came first."""
    if shown is None or to_us(shown) != record.time_us:
        return record
    return max(store.records_at(record.vehicle_id, record.time_us), key=_order)


def _update(row: tuple[Any, ...], record: Record, heard_us: int) -> Update:
    vehicle_id, fleet_id, slug, vin, time, received, values, reconstructed, quality = row
    heard = max(from_us(heard_us), received) if received else from_us(heard_us)
    identity = (vehicle_id, fleet_id, slug, vin or "")
    if time is not None and from_us(record.time_us) < time:
        return Update(*identity, to_us(time), to_us(heard), values, reconstructed, quality, False)
    fresh = {BY_NUMBER[number].name: value for number, value in record.signals.items()}
    return Update(
        *identity,
        record.time_us,
        to_us(heard),
        fresh,
        [name for name in names_in(~record.sent) if name in fresh],
        Quality(record.quality).label,
        True,
    )


def _new_value(name: str) -> str:
    """After a gap the map keeps the last place and charge it knew; `values` never guess."""
    known = f'excluded."{name}"'
    if name.rpartition("_")[0] not in {"latitude", "longitude", "heading", "battery"}:
        return known
    kept = f'COALESCE({known}, vehicle_state."{name}")'
    return f"CASE WHEN excluded.quality = '{Quality.INCOMPLETE.label}' THEN {kept} ELSE {known} END"


def _save(updates: Sequence[Update]) -> None:
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    sets = ", ".join(f'"{name}" = {_new_value(name)}' for name in _COLUMNS[1:])
    write_rows(
        f"INSERT INTO vehicle_state ({names}) {values(_TYPES)} ON CONFLICT (vehicle_id) DO UPDATE SET {sets}",
        [
            (
                update.vehicle_id,
                moment(update.time_us),
                moment(update.received_us),
                *map(update.values.get, _SUMMARY),
                orjson.dumps(update.values).decode(),
                orjson.dumps(update.reconstructed).decode(),
                update.quality,
            )
            for update in updates
        ],
    )
