"""Driving events of real and made-up drives through the real door: the same rows however the records come."""

import random
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Any

import pytest
from pytest_django import Settings as DjangoSettings

from edge.drive import Choice, Drive
from edge.protocol.encoder import Encoder
from edge.protocol.telemetry_pb2 import Telemetry
from edge.tests.test_recordings import data_folder, vehicles_of
from fleet.behaviour.driving import HARSH, Found
from fleet.behaviour.manoeuvres import harsh_events
from fleet.models import DrivingEvent
from telemetry.derivation import derive, driving_anew, driving_rows
from telemetry.frames import to_us
from telemetry.models import TelemetryRecord
from tests.deliveries import deliver, derive_all, drain_all, time_is_up
from tests.drives import START, encode
from tests.driving import brief, events_of, judge
from tests.rules import at
from tests.world import Car, make_car

LOW = {
    "acceleration_m_s2": 1.2,
    "braking_m_s2": 1.2,
    "cornering_m_s2": 1.5,
    "speed_limit_kmh": 42.0,
    "idling_from_s": 30.0,
}
"""So that a short piece of a calm drive holds several events of every kind."""


@pytest.fixture(autouse=True)
def no_waiting(settings: DjangoSettings) -> None:
    settings.TELEMETRY_GAP_WAIT_S = 0.0  # what comes too early is stored incomplete, and completed later


def recorded(car: Car, name: str, file: str, first: int, count: int) -> list[Telemetry]:
    path = data_folder() / name / file
    drive = Drive(path, Choice(vehicle=next(iter(vehicles_of(name, path)))))
    encoder = Encoder(car.vin)
    rows = islice(drive.rows(), first, first + count)
    return [encoder.encode(row.time, row.readings | {"ignition": 1.0}) for row in rows]


def send(car: Car, batches: Sequence[Sequence[Telemetry]], chance: random.Random | None = None) -> None:
    for batch in batches:
        deliver(car, batch)
        drain_all()
        if chance is None or chance.random() < 0.6:
            derive_all()
    time_is_up()
    drain_all()
    derive_all()


def by_pure_function(car: Car, limits: Any) -> list[Found]:
    span = TelemetryRecord.objects.filter(vehicle=car.vehicle).order_by("time").values_list("time", flat=True)
    times = [to_us(time) for time in span]
    return harsh_events(driving_rows.samples([(car.vehicle.pk, times[0], times[-1])])[car.vehicle.pk], limits)


@pytest.mark.parametrize(
    ("name", "file", "first", "count", "size"),
    [
        ("rsk_twizy", "T1_03_29_2021.csv.gz", 900, 700, 40),
        ("ndsbr", "B18.csv.gz", 300, 500, 40),
        ("bmw_i3", "TripA09.csv.gz", 1_200, 1_500, 120),
        ("carobd", "drive3.csv.gz", 300, 500, 50),
    ],
)
def test_shuffles_delays_and_repetitions_of_real_drives(
    name: str, file: str, first: int, count: int, size: int, db: None
) -> None:
    found = []
    for turn in range(3):
        chance = random.Random(f"{name} {turn}")
        car = make_car("recorded", f"turn-{turn}", vin=f"TURN{turn}{name[:3].upper():0>12}")
        settings = judge(car, **LOW)
        messages = recorded(car, name, file, first, count)
        batches = [messages[start : start + size] for start in range(0, len(messages), size)]
        if turn == 1:
            chance.shuffle(batches)
            batches += batches[:3]
        elif turn == 2:  # two batches a while late, and everything again
            batches = [*batches[:2], *batches[3:6], *batches[7:], batches[6], batches[2], *batches]
        send(car, batches, None if not turn else chance)
        events = events_of(car)
        pure = by_pure_function(car, settings.limits)
        assert [(e.kind, e.started_us, e.ended_us, e.peak, e.source, e.rate_hz) for e in pure] == [
            (
                e["kind"],
                to_us(e["started_at"]),
                to_us(e["ended_at"]),
                e["peak_m_s2"],
                e["source"],
                e["rate_hz"],
            )
            for e in events
            if e["kind"] in HARSH
        ]
        found.append([{**event, "vehicle_id": 0} for event in events])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) > 2, "nothing to compare"


def speeds(*values: float, start: float = 0.0) -> list[Telemetry]:
    return [at(start + n, speed=value, ignition=1.0) for n, value in enumerate(values)]


def test_any_order_of_short_pieces(db: None) -> None:
    """Speeding and idling that late records begin, join, split and end; compared with everything at once."""
    chance = random.Random(4)
    values: list[float] = []
    for _ in range(9):
        values += [50.0] * chance.randrange(1, 20) + [140.0 + chance.randrange(9)] * chance.randrange(1, 30)
        values += [50.0, 36.0, 22.0, 8.0, 0.0] + [0.0] * chance.randrange(1, 60)
    readings = [
        (
            START + n + n // 40 * 70 + n // 150 * 400,
            {"speed": value, "ignition": 1.0, "latitude": 52.0 + n * 1e-4},
        )
        for n, value in enumerate(values)
    ]
    cuts = sorted({0, len(readings), *(chance.randrange(len(readings)) for _ in range(50))})
    pictures = []
    for turn in range(4):
        car = make_car("made-up")
        judge(car, idling_from_s=30.0)
        # Each piece a stream of its own, so that it changes no record but its own: spans are as short as they can be.
        pieces = [
            encode(car.vin, readings[begin:end], stream_id=number)
            for number, (begin, end) in enumerate(pairwise(cuts), 1)
        ]
        if turn:
            chance.shuffle(pieces)
        send(car, pieces, chance if turn == 1 else None)
        pictures.append([{**event, "vehicle_id": 0} for event in events_of(car)])
        assert not any(event["kind"] not in {"speeding", "idling", "harsh_braking"} for event in pictures[-1])
    assert all(picture == pictures[0] for picture in pictures)
    assert {event["kind"] for event in pictures[0]} == {"speeding", "idling", "harsh_braking"}


def test_in_order_it_goes_on_from_where_it_stands(db: None, django_assert_max_num_queries: Any) -> None:
    car = make_car()
    judge(car)
    send(car, [speeds(*[140.0] * 10)])
    assert brief(car) == [("speeding", 0, 9)] and DrivingEvent.objects.get().going_on
    number = DrivingEvent.objects.get().pk
    deliver(car, speeds(150, 145, start=10))
    drain_all()
    with django_assert_max_num_queries(45):
        derive_all()
    (event,) = events_of(car)
    assert (event["going_on"], round(event["top_speed_m_s"] * 3.6)) == (True, 150)
    send(car, [speeds(90, start=12)])
    assert brief(car) == [("speeding", 0, 12)] and not DrivingEvent.objects.get().going_on
    assert DrivingEvent.objects.get().pk == number, "the same event, whatever was learned of it"


def test_silence_ends_what_went_on(db: None) -> None:
    car = make_car()
    judge(car)
    send(car, [speeds(*[140.0] * 10), speeds(*[140.0] * 10, start=200)])
    assert brief(car) == [("speeding", 0, 9), ("speeding", 200, 209)]
    assert [event["going_on"] for event in events_of(car)] == [False, True]
    send(
        car,
        [speeds(*[140.0] * 4, start=50), speeds(*[141.0] * 4, start=105), speeds(*[140.0] * 4, start=160)],
    )
    assert brief(car) == [("speeding", 0, 209)], "late records join them"


def test_a_long_span_is_worked_in_parts(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "LONG_US", 0)
    monkeypatch.setattr(derive, "RECORDS", 9)
    car = make_car()
    judge(car)
    drive = (
        speeds(*[140.0] * 10) + speeds(*[140.0] * 25, start=200) + speeds(60, 60, 56, 42, 28, 27, start=225)
    )
    send(car, [drive])
    assert brief(car) == [("speeding", 0, 9), ("speeding", 200, 225), ("harsh_braking", 228, 229)]
    assert not any(event["going_on"] for event in events_of(car))


def test_other_limits_find_everything_anew(db: None) -> None:
    car = make_car()
    settings = judge(car, speed_limit_kmh=None)
    send(car, [speeds(*[95.0] * 10, 60)])
    assert brief(car) == []
    settings.speed_limit_kmh, settings.version = 80.0, settings.version + 1
    settings.save()
    assert driving_anew.take_up() == 1
    derive_all()
    assert brief(car) == [("speeding", 0, 10)]
    assert driving_anew.take_up() == 0


def test_a_fleet_without_settings_gets_them_and_its_history_is_judged(db: None) -> None:
    car = make_car()
    send(car, [speeds(*[140.0] * 10, 60)])
    assert brief(car) == []
    assert driving_anew.take_up() == 1
    derive_all()
    assert brief(car) == [("speeding", 0, 10)]


def test_what_is_only_reconstructed_in_an_unverified_order_is_no_event(db: None) -> None:
    """Without a sequence, a speed that was left out is filled in from whatever came before in time."""
    car = make_car()
    judge(car)
    sent = [at(n, speed=60.0) if n in {0, 1} else at(n, battery=50.0) for n in range(4)]
    send(car, [[*sent, at(4, speed=20.0), at(5, speed=8.0), at(6, speed=8.0)]])
    assert brief(car) == []
