"""A real drive under rules: episodes and alerts are what the recording says, however its batches come."""

import random
from itertools import islice

import pytest
from pytest_django import Settings as DjangoSettings

from edge.drive import Choice, Drive
from edge.protocol.encoder import Encoder
from edge.protocol.telemetry_pb2 import Telemetry
from edge.tests.test_recordings import data_folder, vehicles_of
from fleet.alerting.conditions import Sample, condition_of, stretches
from fleet.models import Alert, AlertRule, Episode, VehicleState
from telemetry.frames import to_us
from telemetry.models import Quality, TelemetryRecord
from tests.deliveries import deliver, derive_all, drain_all, time_is_up
from tests.rules import make_rule
from tests.world import Car, make_car

RECORDS, BATCH = 600, 30


def recorded(car: Car) -> list[Telemetry]:
    file = sorted((data_folder() / "bmw_i3").glob("*.csv.gz"))[0]
    drive = Drive(file, Choice(vehicle=next(iter(vehicles_of("bmw_i3", file)))))
    encoder = Encoder(car.vin)
    return [encoder.encode(row.time, row.readings) for row in islice(drive.rows(), RECORDS)]


def expected(rule: AlertRule, car: Car) -> list[tuple[int, int | None, float]]:
    """By the pure function over history as it was stored in the end."""
    condition = condition_of(rule)
    column = {"speed": "speed_kmh", "acceleration": "acceleration"}[rule.field]
    rows = TelemetryRecord.objects.filter(vehicle=car.vehicle, **{f"{column}__isnull": False}).order_by(
        "time"
    )
    samples = (Sample(to_us(time), value) for time, value in rows.values_list("time", column))
    found = stretches(condition, samples)
    return [(one.started_us, one.ended_us, one.peak) for one in found if one.confirmed(condition)]


def stored(rule: AlertRule) -> list[tuple[int, int | None, float]]:
    rows = Episode.objects.filter(rule=rule, confirmed=True).order_by("started_at")
    return [(to_us(row.started_at), to_us(row.ended_at) if row.ended_at else None, row.peak) for row in rows]


@pytest.mark.parametrize("seed", [None, 1])
def test_a_recorded_drive(
    seed: int | None, db: None, settings: DjangoSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TELEMETRY_GAP_WAIT_S = 0.0  # what comes too early is stored incomplete, and completed later
    car = make_car("recorded")
    rules = [
        make_rule(car, limit=30.0, clear=28.0, min_duration_s=1.0),
        make_rule(car, "threshold", name="brakes", field="acceleration", direction="below", limit=-0.5),
    ]
    messages = recorded(car)
    batches = [messages[start : start + BATCH] for start in range(0, len(messages), BATCH)]
    if seed is not None:
        random.Random(seed).shuffle(batches)
        batches += batches[:3]
    for batch in batches:
        deliver(car, batch)
        drain_all()
        derive_all()
    time_is_up()
    drain_all()
    derive_all()
    rows = TelemetryRecord.objects.filter(vehicle=car.vehicle)
    assert rows.count() == RECORDS and not rows.exclude(quality=Quality.VERIFIED).exists()
    assert VehicleState.objects.get(vehicle=car.vehicle).time.timestamp() == messages[-1].timestamp
    for rule in rules:
        wanted = expected(rule, car)
        assert len(wanted) > 1 and stored(rule) == wanted
        assert Alert.objects.get(key=rule.cause).count == len(wanted)
