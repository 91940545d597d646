"""Small synthetic drives: readings a car could have measured, and the records its edge would send."""

import math
import random
from collections.abc import Iterable, Sequence

from edge.protocol.catalogue import DEFAULT, load
from edge.protocol.encoder import Encoder
from edge.protocol.signals import BY_NAME, HEADING
from edge.protocol.telemetry_pb2 import Telemetry, TelemetryBatch

START = 1_790_000_000.0
PROTOBUF = "application/x-protobuf"
Reading = tuple[float, dict[str, float]]


def drive(count: int, seed: int = 1, start: float = START, every_s: float = 1.0) -> list[Reading]:
    """A drive of `count` readings; the odometer's sensor comes and goes, the ignition goes off at the end."""
    chance = random.Random(seed)
    speed, heading = 30.0, 90.0
    latitude, longitude = 52.52, 13.40
    readings = []
    for step in range(count):
        speed = min(130.0, max(0.0, speed + chance.gauss(0, 1.5)))
        heading = (heading + chance.gauss(0, 3)) % 360
        battery = 80 - step % 6_000 / 100  # now and then it is charged
        latitude += speed / 3.6 / 111_000 * math.cos(math.radians(heading))
        longitude += speed / 3.6 / 67_000 * math.sin(math.radians(heading))
        values = {
            "speed": speed, "battery": battery, "heading": heading, "latitude": latitude,
            "longitude": longitude, "power": speed / 4 + chance.gauss(0, 1), "ignition": float(step < count - 2),
        }  # fmt: skip
        if step % 11 < 8:
            values["odometer"] = 10_000 + step / 100
        readings.append((start + step * every_s, values))
    return readings


def encode(
    vin: str, readings: Iterable[Reading], stream_id: int = 4711, keyframe_every: int = 100
) -> list[Telemetry]:
    encoder = Encoder(vin, load(DEFAULT), keyframe_every, stream_id)
    return [encoder.encode(timestamp, values) for timestamp, values in readings]


def batch(messages: Sequence[Telemetry]) -> bytes:
    return TelemetryBatch(records=messages).SerializeToString()


def within_tolerance(name: str, value: float, truth: float) -> bool:
    """Is a stored value as near to the reading as the catalogue promises?"""
    rule = load(DEFAULT).rules[BY_NAME[name].number]
    off = abs(value - truth)
    if rule.number == HEADING and off > 180:
        off = 360 - off
    return off <= max(rule.tolerance, 0.5 / rule.steps) + 1e-9
