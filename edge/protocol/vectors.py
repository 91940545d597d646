"""Golden vectors: bytes and what they mean, step by step. `python -m edge.protocol.vectors` writes the file.

For whoever writes an edge or a receiver in another language; docs/protocol.md explains each part.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.protocol.catalogue import load
from edge.protocol.checks import BadRecordError, check
from edge.protocol.checksum import content_crc, state_crc
from edge.protocol.encoder import Encoder
from edge.protocol.predictor import PREDICTORS
from edge.protocol.reconstructor import OutOfStepError, Reconstructor, Values
from edge.protocol.signals import BY_NUMBER, names_in
from edge.protocol.telemetry_pb2 import Telemetry, TelemetryBatch
from edge.protocol.text import json_from_message, message_from_json

FILE: Final = Path(__file__).with_name("vectors.json")
VIN: Final = "WVWZZZ1KZAW000123"
NOW: Final = 1_700_000_000.0


@dataclass(frozen=True)
class Moment:
    """What the car saw at one time."""

    timestamp: float
    readings: Mapping[str, float | None]
    extra: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    keyframe_requested: bool = False


def _drive() -> list[Moment]:
    """Every rule of the protocol at least once; the comments say which."""
    base: dict[str, float | None] = {
        "speed": 50.0,
        "battery": 80.0,
        "power": 12.5,
        "heading": 358.0,
        "latitude": 52.5200066,
        "longitude": -13.404954,
        "ignition": 1.0,
    }
    drive = [
        base,  # 1: the first record of a stream is a keyframe
        base,  # 2: nothing changed, all omitted
        base | {"speed": 51.0, "power": 13.5004},  # 3: at the tolerance, and just beyond it
        base | {"speed": 40.005, "power": -0.0005, "latitude": 52.52006},  # 4: halves round upwards
        base | {"heading": 1.0, "speed": 0.0},  # 5: heading within tolerance across north; zero is sent
        base | {"heading": 4.0, "power": -27.1234},  # 6: beyond it
        base | {"battery": None, "odometer": 12345.678},  # 7: one signal goes, one appears
        base | {"battery": None, "odometer": 12345.7},  # 8: still gone; named only once
        base | {"battery": 79.2, "odometer": 12345.73},  # 9: back, therefore sent
        base | {"battery": 79.0, "longitude": -13.40501},  # 10: extra and labels; odometer goes
        base | {"speed": 700.0, "ignition": 0.0},  # 11: keyframe by count; the impossible speed is left out
        base | {"speed": 49.0, "ignition": 0.0},  # 12: speed is back
        base | {"speed": 60.0, "heading": 180.0},  # 13: the receiver asked for a keyframe
        {},  # 14: every sensor silent
    ]
    return [
        Moment(
            NOW + 0.25 * place,
            readings,
            {"tyre.left": 2.5, "engine.hours": 17.0} if place == 9 else {},
            {"driver": "Zoë", "mode": "eco"} if place == 9 else {},
            place == 12,
        )
        for place, readings in enumerate(drive)
    ]


def _hex(message: Telemetry | TelemetryBatch) -> str:
    return message.SerializeToString(deterministic=True).hex()


def _outcome(values: Values, state: Mapping[int, int]) -> dict[str, Any]:
    return {
        "state": {BY_NUMBER[n].name: step for n, step in state.items()},
        "values": {BY_NUMBER[n].name: value for n, value in sorted(values.signals.items())},
        "sent": names_in(values.sent),
    }


def _stream(name: str, catalogue: str, stream_id: int) -> dict[str, Any]:
    encoder = Encoder(VIN, load(catalogue), keyframe_every=10, stream_id=stream_id)
    receiver = Reconstructor()
    steps = []
    for moment in _drive():
        if moment.keyframe_requested:
            encoder.request_keyframe()
        message = encoder.encode(moment.timestamp, moment.readings, moment.extra, moment.labels)
        values = receiver.apply(message)
        given = {key: value for key, value in asdict(moment).items() if value not in ({}, False)}
        given.setdefault("readings", {})
        steps.append(
            {"given": given, "hex": _hex(message), "record": json_from_message(message)}
            | _outcome(values, receiver.state)
        )
    head = {
        "name": name,
        "vin": VIN,
        "stream_id": str(stream_id),
        "catalogue": catalogue,
        "keyframe_every": 10,
    }
    return head | {"steps": steps}


def _messages(stream: dict[str, Any]) -> list[Telemetry]:
    return [Telemetry.FromString(bytes.fromhex(step["hex"])) for step in stream["steps"]]


def _batch(stream: dict[str, Any]) -> dict[str, Any]:
    """The first records of a stream in one body, with VIN and stream named once."""
    records = _messages(stream)[:4]
    for record in records:
        record.ClearField("vin")
        record.ClearField("stream_id")
    batch = TelemetryBatch(records=records, vin=VIN, stream_id=int(stream["stream_id"]))
    return {"stream": stream["name"], "records": [_hex(r) for r in records], "hex": _hex(batch)}


def _unverified() -> dict[str, Any]:
    """A client of the plain form: no stream, no sequence; the same records as protobuf and as JSON."""
    sent: list[dict[str, Any]] = [
        {"timestamp": NOW, "speed": 65.0, "battery": 82.0, "power": 12.5, "heading": 45.0},
        {"timestamp": NOW + 1, "speed": 70.0, "battery": 82.0},
        {"timestamp": NOW + 2, "speed": 75.0, "latitude": 52.52, "longitude": 13.405},
        {"timestamp": NOW + 3, "unavailable": ["power"]},
        {"timestamp": NOW + 4, "power": -3.25, "heading": 47.123456},
    ]
    receiver, steps = Reconstructor(), []
    for content in sent:
        message = message_from_json({"vin": VIN} | content)
        values = receiver.apply_unverified(message)
        steps.append(
            {"hex": _hex(message), "json": {"vin": VIN} | content} | _outcome(values, receiver.state)
        )
    return {"catalogue": "document-1", "steps": steps}


def _flipped(message: Telemetry, bit: int) -> bytes:
    content = bytearray(message.SerializeToString(deterministic=True))
    content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


def _renumbered(message: Telemetry, sequence: int) -> bytes:
    """A record under another number: right content checksum, wrong predictor state."""
    message.sequence = sequence
    message.content_crc = content_crc(message, VIN, message.stream_id)
    return message.SerializeToString(deterministic=True)


def _faults(stream: dict[str, Any]) -> list[dict[str, Any]]:
    messages = _messages(stream)
    first, second, third, fourth = (m.SerializeToString(deterministic=True) for m in messages[:4])
    keyframe = messages[10].SerializeToString(deterministic=True)
    speed = fourth.index(struct.pack("<d", messages[3].speed))
    unavailable = messages[6].SerializeToString(deterministic=True).index(b"\xd2\x02")
    cases = {
        "a bit of a value flipped": [first, second, _flipped(messages[3], 8 * speed + 42), fourth],
        "a bit of the state checksum flipped": [first, _flipped(messages[1], 8 * (len(second) - 8)), second],
        "a bit of a field number flipped": [_flipped(messages[6], 8 * unavailable + 4)],
        "a record missing": [first, third, second, third],
        "a record repeated": [first, second, second, third],
        "two records swapped": [first, third, second],
        "no keyframe yet": [second, first, second],
        "a keyframe after a gap": [first, fourth, keyframe],
        "another state behind the same number": [
            first,
            second,
            _renumbered(messages[11], 3),
            fourth,
            keyframe,
        ],
    }
    return [
        {
            "name": name,
            "steps": [{"hex": content.hex(), "outcome": outcome} for content, outcome in _try(parts)],
        }
        for name, parts in cases.items()
    ]


def _try(parts: list[bytes]) -> list[tuple[bytes, str]]:
    receiver, outcomes = Reconstructor(), []
    for content in parts:
        message = Telemetry.FromString(content)
        try:
            check(message, message.vin, message.stream_id, NOW + 60)
            receiver.apply(message)
            outcome = "complete"
        except BadRecordError as bad:
            outcome = f"rejected: {bad.field}"
        except OutOfStepError as lost:
            outcome = lost.fault.name.lower()
        outcomes.append((content, outcome))
    return outcomes


def _arithmetic() -> dict[str, Any]:
    rule = load("standard-1").rules[6]
    smooth = PREDICTORS["smooth"]
    pairs = [(0, 100), (100, 0), (0, 1), (0, -1), (5000, 5001), (-7, 900), (134_049_540, 134_050_100)]
    return {
        "quantise": [
            {"value": v, "steps": rule.steps, "state": rule.quantise(v)}
            for v in (0.0, 0.004, 0.005, -0.005, -0.006, 1.005, 2.675, 100.125, -99.995)
        ],
        "smooth": [
            {"state": state, "value": value, "alpha": alpha, "after": smooth.update(state, value, alpha)}
            for state, value in pairs
            for alpha in (77, 179, 256)
        ],
        "state_crc": [
            {"state": {str(n): step for n, step in state.items()}, "crc": state_crc(state)}
            for state in ({}, {6: 5000}, {6: 5000, 9: 35800, 11: -134049540})
        ],
    }


def build() -> dict[str, Any]:
    streams = [
        _stream("last value", "standard-1", 1),
        _stream("smoothing", "document-1", 2**63 - 1),
        _stream("tight", "tight-1", 0x0123456789ABCDEF),
    ]
    return {
        "arithmetic": _arithmetic(),
        "streams": streams,
        "batches": [_batch(streams[0])],
        "unverified": _unverified(),
        "faults": _faults(streams[0]),
    }


def text() -> str:
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
