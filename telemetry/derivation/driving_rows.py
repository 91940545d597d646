"""Stored records as samples of driving: what was sent, and what was reconstructed in a verified order."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from edge.protocol.signals import BY_NAME
from fleet.behaviour.driving import (
    SENT_ACCELERATION,
    SENT_HEADING,
    SENT_LATERAL,
    SENT_SPEED,
    SENT_YAW,
    Sample,
)
from telemetry.derivation.readback import Range
from telemetry.models import Quality
from telemetry.sql import epoch_us, microseconds, moment, on_postgresql, read_all

_SIGNALS: Final = (
    "speed", "acceleration", "lateral_acceleration", "yaw_rate", "heading", "latitude", "longitude", "ignition", "rpm",
    "charging",
)  # fmt: skip
_COLUMNS: Final = ", ".join(f'd."{BY_NAME[name].column}"' for name in _SIGNALS)
_BITS: Final = tuple(1 << BY_NAME[name].number for name in _SIGNALS)
_TOLD: Final = tuple(
    (1 << BY_NAME[name].number, bit)
    for name, bit in (
        ("speed", SENT_SPEED),
        ("acceleration", SENT_ACCELERATION),
        ("lateral_acceleration", SENT_LATERAL),
        ("yaw_rate", SENT_YAW),
        ("heading", SENT_HEADING),
    )
)
_FROM = "telemetry_data d WHERE d.vehicle_id = s.vehicle AND d.time BETWEEN s.first AND s.last"
_ORDER = "d.time, d.quality, d.stream_id, d.sequence"


def samples(ranges: Sequence[Range]) -> dict[int, list[Sample]]:
    """All in these ranges, one for each vehicle, in order of time. One statement."""
    found: dict[int, list[Sample]] = {vehicle: [] for vehicle, _, _ in ranges}
    if not ranges:
        return found
    chosen = f"d.vehicle_id, {epoch_us('d.time')}, d.device_id, d.quality, d.sent, {_COLUMNS}"
    if on_postgresql():
        query = f"SELECT q.* FROM s JOIN LATERAL (SELECT {chosen} FROM {_FROM} ORDER BY {_ORDER} OFFSET 0) q ON true"
    else:
        query = f"SELECT {chosen} FROM s CROSS JOIN {_FROM} ORDER BY s.vehicle, {_ORDER}"
    cells = ", ".join(["(%s, %s, %s)"] * len(ranges))
    params = [value for vehicle, first, last in ranges for value in (vehicle, moment(first), moment(last))]
    for vehicle, time, device, quality, sent, *values in read_all(
        f"WITH s (vehicle, first, last) AS (VALUES {cells}) {query}", params
    ):
        found[vehicle].append(_sample(microseconds(time), device, quality, sent, values))
    return found


def _sample(time_us: int, device: int, quality: int, sent: int, values: Sequence[Any]) -> Sample:
    """Of a record whose place in the order is not certain, only what it brought itself."""
    if quality != Quality.VERIFIED:
        values = [value if sent & bit else None for value, bit in zip(values, _BITS, strict=True)]
    speed, along, across, yaw, heading, latitude, longitude, ignition, rpm, charging = values
    told = 0
    for bit, ours in _TOLD:
        if sent & bit:
            told |= ours
    return Sample(
        time_us, device, None if speed is None else speed / 3.6, along, across, yaw, heading, latitude, longitude,
        None if ignition is None else ignition > 0, rpm, None if charging is None else charging > 0, told,
    )  # fmt: skip


_FIRST_US, _STEPS = 60_000_000, 4


def backwards(vehicle: int, before_us: int, floor_us: int) -> Iterator[Sample]:
    """From just before a moment down to `floor_us`, read in pieces, as far as they are taken."""
    end, size = before_us, _FIRST_US
    while end > floor_us:
        begin = max(floor_us, end - size)
        yield from reversed(samples([(vehicle, begin, end - 1)])[vehicle])
        end, size = begin, size * _STEPS


def forwards(vehicle: int, after_us: int, last_us: int) -> Iterator[Sample]:
    """From just after a moment to `last_us`."""
    begin, size = after_us, _FIRST_US
    while begin < last_us:
        end = min(last_us, begin + size)
        yield from samples([(vehicle, begin + 1, end)])[vehicle]
        begin, size = end, size * _STEPS
