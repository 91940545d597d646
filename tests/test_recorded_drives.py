"""Real drives, from the recording to the stored row: every value of every record against the raw cell.

The default run takes a few files of each set; CONVOY_DATA_ALL=1 takes everything. `-s` prints the figures.
"""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.drive import Choice, Drive
from edge.protocol.catalogue import DEFAULT, load
from edge.protocol.encoder import Encoder
from edge.protocol.signals import HEADING, SIGNALS
from edge.tests.test_recordings import SETS, Result, data_folder, raw_rows, readings, vehicles_of
from telemetry import drain, ingest
from telemetry.models import CompressionStat, Frame, Quality, TelemetryRecord
from telemetry.transports.body import read
from tests.drives import PROTOBUF, batch
from tests.world import Car, make_car

pytestmark = pytest.mark.django_db(transaction=True)
FILES = {"bmw_i3": 1, "rsk_twizy": 3, "ndsbr": 2, "envirocar": 7, "carobd": 3, "leaf": 3}
BATCH = 50


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SETS)
def test_history_holds_what_the_car_read(name: str, record_property: Callable[[str, object], None]) -> None:
    files = sorted((data_folder() / name).glob("*.csv.gz"))
    result = Result()
    for file in files if os.environ.get("CONVOY_DATA_ALL") else files[: FILES.get(name, 1)]:
        for vehicle in vehicles_of(name, file):
            car = make_car("recorded")
            result.bytes += deliver(car, Drive(file, Choice(vehicle=vehicle)))
            compare(name, car, list(raw_rows(file, vehicle)), result)
            count(car, result)
    worst = max(result.worst.values())
    text = (
        f"{name}: {result.records:,} records stored, {result.values:,} values compared, "
        f"{100 * result.omitted / result.signals:.1f} % omitted, {result.bytes / result.records:.1f} bytes/record, "
        f"worst error/tolerance {worst:.4f} "
        f"({', '.join(f'{signal} {share:.2f}' for signal, share in sorted(result.worst.items()))})"
    )
    record_property("measured", text)
    sys.stdout.write(text + "\n")
    assert worst <= 1 + 1e-9, result.worst


def deliver(car: Car, drive: Drive) -> int:
    """The whole drive in batches through the door, drained in between; answers the bytes sent."""
    encoder = Encoder(car.vin)
    messages = [encoder.encode(row.time, row.readings) for row in drive.rows()]
    size = 0
    for number, start in enumerate(range(0, len(messages), BATCH)):
        body = batch(messages[start : start + BATCH])
        size += len(body)
        delivery = read(body, PROTOBUF, car.principal, time.time())
        assert not delivery.rejected
        (receipt,) = ingest.accept([delivery])
        assert receipt.accepted == len(delivery.arrivals) and not receipt.keyframe
        if number % 40 == 39:
            drain_all()
    drain_all()
    assert not Frame.objects.filter(device=car.device).exists()
    return size


def drain_all() -> None:
    for shard in range(2):
        drain.drain(shard)


def stored(car: Car) -> Iterator[tuple[int, int, dict[int, float]]]:
    columns = [signal.column for signal in SIGNALS]
    rows = TelemetryRecord.objects.filter(vehicle=car.vehicle).order_by("sequence")
    for sequence, quality, *values in rows.values_list("sequence", "quality", *columns).iterator(5_000):
        yield sequence, quality, {s.number: v for s, v in zip(SIGNALS, values, strict=True) if v is not None}


def compare(name: str, car: Car, raw: list[dict[str, str]], result: Result) -> None:
    rules = load(DEFAULT).rules
    worst: dict[str, float] = defaultdict(float, result.worst)
    for number, (cells, (sequence, quality, signals)) in enumerate(zip(raw, stored(car), strict=True), 1):
        assert (sequence, quality) == (number, Quality.VERIFIED)
        expected = readings(SETS[name], cells)
        assert signals.keys() == expected.keys(), (Path(name), sequence)
        for which, value in expected.items():
            off = abs(signals[which] - value)
            if which == HEADING:
                off = min(off, 360 - off)
            tolerance = rules[which].tolerance
            share = off / tolerance if tolerance else float(off > 0) * 2
            signal = _NAMES[which]
            worst[signal] = max(worst[signal], share)
        result.values += len(expected)
        result.records += 1
    result.worst = worst


def count(car: Car, result: Result) -> None:
    """What /status would say about this car must be what the edge left out."""
    for stat in CompressionStat.objects.filter(vehicle=car.vehicle):
        result.omitted += stat.skipped_readings
        result.signals += stat.skipped_readings + stat.transmitted_readings


_NAMES = {signal.number: signal.name for signal in SIGNALS}
