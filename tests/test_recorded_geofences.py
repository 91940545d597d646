"""A real drive among geofences: visits are what the recording says, however its batches come."""

import random
from itertools import islice
from typing import Any

import pytest
from pytest_django import Settings as DjangoSettings

from edge.drive import Choice, Drive
from edge.protocol.encoder import Encoder
from edge.protocol.telemetry_pb2 import Telemetry
from edge.tests.test_recordings import data_folder, vehicles_of
from fleet.models import Geofence, Visit
from telemetry.derivation.fencing import stay_of
from tests.deliveries import deliver, derive_all, drain_all, time_is_up
from tests.fences import expected, make_fence, records
from tests.rules import nothing_touched
from tests.world import Car, make_car

RECORDS, BATCH, FENCES = 500, 25, 12
Drawn = list[tuple[Telemetry, list[float]]]


def recorded(car: Car, data: str) -> Drawn:
    """Records as the edge sends them, and where the car was."""
    file = sorted((data_folder() / data).glob("*.csv.gz"))[0]
    drive = Drive(file, Choice(vehicle=next(iter(vehicles_of(data, file)))))
    encoder = Encoder(car.vin)
    rows = islice((row for row in drive.rows() if "longitude" in row.readings), RECORDS)
    return [
        (encoder.encode(row.time, row.readings), [row.readings["longitude"], row.readings["latitude"]])
        for row in rows
    ]


def corners(east: float, north: float) -> list[list[float]]:
    size = 2e-3
    return [[east, north], [east + size, north], [east + size, north + size], [east, north + size]]


def fences_along(car: Car, drive: Drawn) -> list[Geofence]:
    """Circles around places of the drive, corridors along parts of it, polygons beside it."""
    made = []
    step = len(drive) // FENCES
    for number in range(FENCES):
        (east, north), (further, beyond) = drive[number * step][1], drive[number * step + step // 2][1]
        shapes: list[dict[str, Any]] = [
            {"kind": "circle", "radius_m": 30.0 + 20 * number,
             "geometry": {"type": "Point", "coordinates": [east, north]}},
            {"kind": "corridor", "width_m": 20.0,
             "geometry": {"type": "LineString", "coordinates": [[east, north], [further + 1e-4, beyond]]}},
            {"kind": "polygon", "geometry": {"type": "Polygon", "coordinates": [corners(east, north)]}},
        ]  # fmt: skip
        terms = {"hysteresis_m": 25.0 * (number % 2), "min_stay_s": 10.0 * (number % 3 == 2), "dwell_s": 30.0}
        made.append(make_fence(car, name=f"fence {number}", **shapes[number % 3], **terms))
    return made


@pytest.mark.parametrize(("data", "seed"), [("rsk_twizy", 1), ("rsk_twizy", 2), ("ndsbr", 3)])
def test_a_recorded_drive(
    data: str, seed: int, db: None, settings: DjangoSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TELEMETRY_GAP_WAIT_S = 0.0  # what comes too early is stored incomplete, and completed later
    car = make_car("recorded")
    drive = recorded(car, data)
    fences = fences_along(car, drive)
    batches = [drive[start : start + BATCH] for start in range(0, len(drive), BATCH)]
    chance = random.Random(seed)
    chance.shuffle(batches)
    for batch in [*batches, *batches[:3]]:
        deliver(car, [message for message, _ in batch])
        drain_all()
        if chance.random() < 0.7:
            derive_all()
    time_is_up()
    drain_all()
    derive_all()
    assert records(car) == len(drive) and nothing_touched()
    found = 0
    for fence in fences:
        rows = Visit.objects.filter(geofence=fence).order_by("entered_at")
        wanted = expected(fence, car)
        assert [stay_of(row) for row in rows] == wanted
        found += len(wanted)
    assert found >= FENCES
