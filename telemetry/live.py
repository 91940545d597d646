"""Push to browsers: after a commit, one message per fleet. A hint that may be lost; pages are right without it."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypedDict

import orjson

from fleet.models.vehicles import motion_of
from fleet.push import channel_layer, group, hide, push
from telemetry.frames import from_us
from telemetry.vehicle_state import Update

__all__ = ["POSITION", "Forms", "channel_layer", "group", "publish", "publish_log"]


class LiveMessage(TypedDict):
    """What travels through the channel layer: per vehicle its news, encoded once."""

    type: str
    fleet: int
    vehicles: dict[str, "Forms"]


Forms = tuple[str, str]
"""JSON text: the `data` of a telemetry message, and the row of a positions message (fields as in POSITION)."""
POSITION = ("vehicle_id", "timestamp", "latitude", "longitude", "heading", "speed", "battery", "motion")


class LogMessage(TypedDict):
    type: str
    fleet: int
    text: str


def publish(updates: Sequence[Update]) -> None:
    """The newest state of every vehicle that changed. Never raises: the data is committed already."""
    fleets: dict[int, dict[str, Forms]] = defaultdict(dict)
    now = datetime.now(UTC)
    for update in updates:
        fleets[update.fleet_id][str(update.vehicle_id)] = _forms(update, now)
    for fleet, vehicles in fleets.items():
        push(group(fleet), LiveMessage(type="live.telemetry", fleet=fleet, vehicles=vehicles))
        if private := {one.vehicle_id for one in updates if one.private and one.fleet_id == fleet}:
            hide(fleet, private)


def publish_log(fleet_id: int, text: str, level: str = "info") -> None:
    """A line for the `log` messages of everybody who watches this fleet."""
    content = {"type": "log", "log_type": level, "message": text, "timestamp": datetime.now(UTC).timestamp()}
    line = orjson.dumps(content).decode()
    push(group(fleet_id), LogMessage(type="live.log", fleet=fleet_id, text=line))


def _forms(update: Update, now: datetime) -> Forms:
    """The document's names, plus ours; and the same in short for a map, where bytes decide how many can watch."""
    data = {
        **update.further,  # first: no name of a device's own may hide one of ours
        "vehicle_vin": update.vin,
        "vehicle": update.slug,
        "vehicle_id": update.vehicle_id,
        "timestamp": update.time_us / 1e6,
        **update.values,
        "reconstructed": update.reconstructed,
        "quality": update.quality,
        "motion": motion_of(update.values, from_us(update.received_us), now).value,
    }
    return orjson.dumps(data).decode(), orjson.dumps([*map(data.get, POSITION)]).decode()
