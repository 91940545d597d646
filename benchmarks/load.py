"""The same drive for everybody: prepared requests for product and peer, and the program that sends them."""

import json
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge.protocol.encoder import Encoder
from edge.protocol.telemetry_pb2 import TelemetryBatch

SIGNALS = (
    "speed", "battery", "power", "heading", "latitude", "longitude", "voltage", "current", "odometer",
    "battery_temperature",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Vehicle:
    vin: str
    token: str


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


def requests(vehicles: list[Vehicle], count: int, batch: int) -> Iterable[tuple[str, bytes, int]]:
    """(token, body, records) in turn over the vehicles, `count` records in all."""
    start = time.time() - 3600
    encoders = [Encoder(vehicle.vin) for vehicle in vehicles]
    seconds = [0] * len(vehicles)
    made, index = 0, 0
    while made < count:
        encoder, vehicle = encoders[index], vehicles[index]
        records = []
        for _ in range(batch):
            second = seconds[index]
            seconds[index] += 1
            records.append(encoder.encode(start + second, readings(index, second)))
        if batch == 1:
            body = records[0].SerializeToString()
        else:
            for record in records:
                record.vin = ""
                record.stream_id = 0
            body = TelemetryBatch(
                records=records, vin=vehicle.vin, stream_id=encoder.stream_id
            ).SerializeToString()
        yield vehicle.token, body, batch
        made += batch
        index = (index + 1) % len(vehicles)


def write(path: Path, prepared: Iterable[tuple[str, bytes, int]]) -> tuple[int, int]:
    """Write a request file; answers (requests, records)."""
    count = records = 0
    with path.open("wb") as file:
        for token, body, size in prepared:
            text = token.encode()
            file.write(struct.pack("<H", len(text)) + text + struct.pack("<I", len(body)) + body)
            count += 1
            records += size
    return count, records


@dataclass(frozen=True, slots=True)
class Sent:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int


def send(url: str, file: Path, connections: int, seconds: int) -> Sent:
    """Send the requests of the file in turn over keep-alive connections, closed loop, for `seconds`."""
    script = Path(__file__).with_name("requests.lua")
    run = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "30s",
            "--latency",
            "-s",
            str(script),
            url,
        ],
        env={**os.environ, "REQUESTS": str(file)},
        capture_output=True,
        text=True,
        check=True,
    )
    text = run.stdout
    failed = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    total = int(re.search(r"(\d+) requests in", text).group(1))  # type: ignore[union-attr]
    return Sent(total, seconds, _latency(text, "50%"), _latency(text, "99%"), failed)


def _latency(text: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)\b", text)
    if not found:
        print(text, file=sys.stderr)
        return float("nan")
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]


def provisioned(path: Path) -> list[Vehicle]:
    return [Vehicle(entry["vin"], entry["token"]) for entry in json.loads(path.read_text("utf-8"))]
