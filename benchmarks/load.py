"""The same drive for everybody: requests prepared for product and peer, and the program that sends them."""

import os
import random
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.protocol.encoder import Encoder
from edge.protocol.telemetry_pb2 import TelemetryBatch

PEER_SHARE = 0.6
"""Of its fields the peer's edge sends this many, as the peer's own load program does."""


@dataclass(frozen=True, slots=True)
class Vehicle:
    vin: str
    token: str


@dataclass(frozen=True, slots=True)
class Request:
    token: str
    body: bytes
    records: int


def readings(vehicle: int, second: int) -> dict[str, float]:
    """Ten signals of a car in city traffic: about two thirds of the values can be omitted."""
    phase = (second + vehicle * 7) % 120
    speed = min(50.0, phase * 2.0) if phase < 60 else max(0.0, 50.0 - (phase - 60) * 1.7)
    return {
        "speed": speed,
        "battery": 90.0 - second * 0.002,
        "power": speed * 0.4 + (phase % 7) * 0.8,
        "heading": float((vehicle * 37 + second // 20 * 45) % 360),
        "latitude": 52.43 + vehicle * 1e-4 + second * 2e-5,
        "longitude": 13.53 + vehicle * 1e-4,
        "voltage": 380.0 - (phase % 9),
        "current": speed + (phase % 5) * 1.5,
        "odometer": 1000.0 + second * 0.01,
        "battery_temperature": 25.0,
    }


class Product:
    """Convoy's records: a stream per vehicle, verified."""

    def __init__(self, vehicles: list[Vehicle]) -> None:
        self.vehicles = vehicles
        self.encoders = [Encoder(vehicle.vin) for vehicle in vehicles]

    def request(self, vehicle: int, moments: list[tuple[float, int]]) -> Request:
        """`moments`: (Unix time, second of the drive) of each record."""
        encoder = self.encoders[vehicle]
        records = [encoder.encode(moment, readings(vehicle, second)) for moment, second in moments]
        token = self.vehicles[vehicle].token
        if len(records) == 1:
            return Request(token, records[0].SerializeToString(), 1)
        for record in records:
            record.vin = ""
            record.stream_id = 0
        batch = TelemetryBatch(records=records, vin=encoder.vin, stream_id=encoder.stream_id)
        return Request(token, batch.SerializeToString(), len(records))


class Peer:
    """The peer's messages: some fields left out at random; no token, one record per request."""

    _NAMES = {
        "latitude": "lat", "longitude": "lon", "voltage": "volts", "current": "accel",
        "battery_temperature": "temp",
    }  # fmt: skip

    def __init__(self, vehicles: list[Vehicle], messages: Any) -> None:
        self.vehicles = vehicles
        self.messages = messages
        self.random = random.Random(7)
        self.sequence = 0

    def request(self, vehicle: int, moments: list[tuple[float, int]]) -> Request:
        [(moment, second)] = moments
        self.sequence += 1
        message = self.messages.Telemetry(
            vin=self.vehicles[vehicle].vin, seq=self.sequence, ts_us=round(moment * 1e6)
        )
        for name, value in readings(vehicle, second).items():
            if self.random.random() < PEER_SHARE:
                setattr(message, self._NAMES.get(name, name), value)
        return Request("", message.SerializeToString(), 1)


def old(edge: Product | Peer, count: int, batch: int, hours_ago: int) -> Iterator[Request]:
    """`count` records of an hour of the past, in turn over the vehicles, each second once."""
    start, vehicles = time.time() - 3600 * hours_ago, len(edge.vehicles)
    for number in range(-(-count // batch)):
        first = number // vehicles * batch
        yield edge.request(number % vehicles, [(start + s, s) for s in range(first, first + batch)])


def due(edge: Product | Peer, count: int, rate: float, start: float) -> Iterator[Request]:
    """Single records that carry the very moment they are due to be sent: `start` + n / `rate`."""
    for number in range(count):
        vehicle, second = number % len(edge.vehicles), number // len(edge.vehicles)
        yield edge.request(vehicle, [(start + number / rate, second)])


def write(path: Path, prepared: Iterable[Request]) -> int:
    """Write a request file; answers how many requests it holds."""
    count = 0
    with path.open("wb") as file:
        for one in prepared:
            token = one.token.encode()
            file.write(struct.pack("<H", len(token)) + token + struct.pack("<I", len(one.body)) + one.body)
            count += 1
    return count


@dataclass(frozen=True, slots=True)
class Sent:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int


def send(url: str, file: Path, connections: int, seconds: int) -> Sent:
    """Send the requests of the file in turn over keep-alive connections, closed loop, for `seconds`."""
    script = str(Path(__file__).with_name("requests.lua"))
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    run = subprocess.run(
        ["wrk", *options, "-s", script, url],
        env={**os.environ, "REQUESTS": str(file)},
        capture_output=True,
        text=True,
        check=True,
    )
    text = run.stdout
    total = re.search(r"(\d+) requests in ([\d.]+)(m?s)", text)
    assert total, text
    failed = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    took = float(total[2]) * {"ms": 1e-3, "s": 1.0}[total[3]]
    return Sent(int(total[1]), took, _latency(text, "50%"), _latency(text, "99%"), failed)


def _latency(text: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)\b", text)
    if not found:
        print(text, file=sys.stderr)
        return float("nan")
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]
