"""Real drives through the real door: stored trips, stops and charging sessions are what the records say, however their
batches come: shuffled, late, repeated, looked at after each or all at once."""

import random
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import pytest
from pytest_django import Settings as DjangoSettings

from edge.drive import Choice, Drive, Row
from edge.protocol.encoder import Encoder
from edge.protocol.telemetry_pb2 import Telemetry
from edge.tests.test_recordings import data_folder
from fleet.journeys.tripfinder import Finder, TripSettings
from fleet.models import TripMark
from telemetry.derivation import derive, journeys, samples
from telemetry.derivation.samples import Wanted
from tests.deliveries import deliver, derive_all, drain_all, time_is_up
from tests.journeys import head, stored
from tests.world import Car, make_car

BATCH = 40
Batches = list[list[Telemetry]]


@pytest.fixture(autouse=True)
def small_steps(settings: DjangoSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short drive has many marks, pages and passes."""
    settings.TELEMETRY_GAP_WAIT_S = 0.0  # what comes too early is stored incomplete, and completed later
    monkeypatch.setattr(derive, "LONG_US", 0)
    monkeypatch.setattr(derive, "RECORDS", 150)
    monkeypatch.setattr(journeys, "MARK_EVERY", 50)
    monkeypatch.setattr(journeys, "LEAST", 1)
    monkeypatch.setattr(journeys, "FIRST", 30)
    monkeypatch.setattr(journeys, "PAGES", 2)


def several(folder: str, files: int, rows: int) -> list[Row]:
    """Some recordings of a folder one after the other, two hours between them."""
    found: list[Row] = []
    for file in sorted((data_folder() / folder).glob("*.csv.gz"))[:files]:
        part = sorted(islice(Drive(file, Choice()).rows(), rows), key=lambda row: row.time)
        shift = found[-1].time + 7_200 - part[0].time if found else 0.0
        found += [Row(row.number, row.time + shift, row.readings) for row in part]
    return found


def encoded(car: Car, rows: Sequence[Row]) -> Batches:
    encoder = Encoder(car.vin)
    messages = [encoder.encode(row.time, row.readings) for row in rows]
    return [messages[start : start + BATCH] for start in range(0, len(messages), BATCH)]


def in_order(batches: Batches) -> Batches:
    return batches


def at_once(batches: Batches) -> Batches:
    return [[message for batch in batches for message in batch]]


def shuffled(seed: int) -> Callable[[Batches], Batches]:
    def order(batches: Batches) -> Batches:
        mixed = list(batches)
        random.Random(seed).shuffle(mixed)
        return mixed + mixed[:3]

    order.__name__ = f"shuffled_{seed}"
    return order


def delayed(seed: int) -> Callable[[Batches], Batches]:
    """Each batch may be overtaken by up to four."""

    def order(batches: Batches) -> Batches:
        chance = random.Random(seed)
        return [b for _, b in sorted((n + chance.uniform(0, 5), b) for n, b in enumerate(batches))]

    order.__name__ = f"delayed_{seed}"
    return order


def said(car: Car) -> list[Any]:
    """By the pure finder over history as it was stored in the end, in one go."""
    wanted = [Wanted(car.vehicle.pk, 0, 4_000_000_000_000_000)]
    finder = Finder(TripSettings())
    for sample in samples.read(wanted, 100_000)[car.vehicle.pk].samples:
        finder.step(sample)
    trips = [*finder.found.trips, *finder.under_way().trips]
    return [(trip.start_us, trip.end_us, trip.settled_us, *trip.distance) for trip in trips]


def kept(rows: dict[str, Any]) -> list[Any]:
    def us(moment: Any) -> int | None:
        return None if moment is None else round(moment.timestamp() * 1e6)

    return [
        (us(t["started_at"]), us(t["ended_at"]), us(t["settled_at"]), t["distance_m"], t["distance_source"])
        for t in rows["Trip"]
    ]


ORDERS = [at_once, in_order, delayed(1), shuffled(1), shuffled(2)]


@pytest.mark.parametrize(
    ("folder", "files", "rows", "trips", "charges"),
    [
        ("envirocar", 4, 90, 4, 0),
        ("rsk_twizy", 2, 240, 2, 0),
        ("carobd", 2, 240, 2, 0),
        ("leaf", 2, 200, 8, 5),
    ],
)
def test_the_same_rows_in_every_order(
    folder: str, files: int, rows: int, trips: int, charges: int, db: None
) -> None:
    recorded = several(folder, files, rows)
    pictures: list[Any] = []
    for order in ORDERS:
        car = make_car("recorded")
        for batch in order(encoded(car, recorded)):
            deliver(car, batch)
            drain_all()
            derive_all()
        time_is_up()
        drain_all()
        derive_all()
        now = stored(car)
        assert kept(now) == said(car)
        assert TripMark.objects.filter(vehicle=car.vehicle).count() <= len(recorded) / 20, order.__name__
        pictures.append((repr(now), head(car)))
        assert pictures[-1] == pictures[0], order.__name__
    assert len(now["Trip"]) >= trips and len(now["ChargingSession"]) >= charges
    assert len(now["Stop"]) >= len(now["Trip"]) - 1
