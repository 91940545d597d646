"""The one writer: what it packs for COPY or hands to executemany, the ORM reads back as it was."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from edge.protocol.signals import SIGNALS
from telemetry import partitions, store
from telemetry.frames import Record, to_us
from telemetry.models import CompressionStat, Quality, TelemetryRecord
from tests.world import Car, make_car

NOON = to_us(datetime(2026, 9, 1, 12, tzinfo=UTC))
EXTRA = {"tyre.front": 2.4, "driver": "Kim", "nul-ish": "\\u0000", "umlaut": "Über \U0001f697", "q'\"": "x"}


@pytest.fixture(autouse=True)
def month(db: None) -> None:
    partitions.ensure([partitions.month_of(NOON), (1999, 12), (2000, 1)])


def record(car: Car, sequence: int = 1, **changes: Any) -> Record:
    fields = Record(car.vehicle.pk, car.device.pk, NOON, NOON + 7, 2**63 - 1, sequence, 0, 0, {})
    return fields._replace(**changes)


def assert_same(row: TelemetryRecord, wanted: Record) -> None:
    assert (row.vehicle_id, row.device_id) == (wanted.vehicle_id, wanted.device_id)
    assert (to_us(row.time), to_us(row.received_at)) == (wanted.time_us, wanted.received_us)
    assert (row.stream_id, row.sequence) == (wanted.stream_id, wanted.sequence)
    assert (row.quality, row.sent) == (wanted.quality, wanted.sent)
    for signal in SIGNALS:
        assert getattr(row, signal.column) == wanted.signals.get(signal.number), signal.name
    assert row.extra == wanted.extra and row.decoder == wanted.decoder


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_every_column_alone(car: Car, signal: object) -> None:
    for sequence, value in enumerate((0.0, -0.0, 1e-300, signal.low, signal.high, 0.1 + 0.2)):  # type: ignore[attr-defined]
        wanted = record(car, sequence, signals={signal.number: value}, sent=1 << signal.number)  # type: ignore[attr-defined]
        store.write([wanted])
        assert_same(TelemetryRecord.objects.get(sequence=sequence), wanted)


def test_all_columns_nulls_extra_and_decoder_together(car: Car) -> None:
    chance = random.Random(5)
    wanted = []
    for sequence in range(200):
        numbers = chance.sample([s.number for s in SIGNALS], chance.randrange(len(SIGNALS) + 1))
        signals = {number: chance.uniform(-90, 90) for number in numbers}
        wanted.append(
            record(
                car, sequence, signals=signals, sent=sum(1 << n for n in numbers[::2]),
                quality=chance.choice([0, 1, 2]), extra=chance.choice([None, {}, EXTRA]),
                decoder=chance.choice([None, {"catalogue": None, "state": {}}, {"state": {"6": 2**62}}]),
            )
        )  # fmt: skip
    store.write(wanted)
    rows = list(TelemetryRecord.objects.order_by("sequence"))
    assert len(rows) == 200
    for row, one in zip(rows, wanted, strict=True):
        assert_same(row, one)


def test_times_to_the_microsecond(car: Car) -> None:
    for sequence, at in enumerate((946_684_800_000_000, 946_684_799_999_999, NOON + 999_999)):
        wanted = record(car, sequence, time_us=at, received_us=at + 1)
        store.write([wanted])
        assert_same(TelemetryRecord.objects.get(sequence=sequence), wanted)


def test_the_same_record_twice_is_an_error(car: Car) -> None:
    store.write([record(car)])
    with pytest.raises(IntegrityError), transaction.atomic():
        store.write([record(car)])
    store.write([])
    assert TelemetryRecord.objects.count() == 1


def test_replace_changes_the_row_and_no_other(car: Car) -> None:
    store.write([record(car, n, quality=Quality.INCOMPLETE) for n in range(3)])
    store.replace([record(car, 1, signals={6: 50.0})])
    rows = list(TelemetryRecord.objects.order_by("sequence").values_list("quality", "speed_kmh"))
    assert rows == [(2, None), (0, 50.0), (2, None)]


def test_stored_among_knows_each_part_of_the_key(car: Car) -> None:
    wanted = record(car, stream_id=7)
    store.write([wanted])
    key = store.key_of(wanted)
    near = {tuple(part + (place == n) for place, part in enumerate(key)) for n in range(4)}
    assert store.stored_among([key, *near]) == {key}  # type: ignore[list-item]
    assert store.stored_among([]) == set()


def test_unverified_records_are_read_from_a_moment_page_by_page(
    car: Car, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        record(car, n, stream_id=0, time_us=NOON + n * 1_000_000, decoder={"state": {}}) for n in range(5)
    ]
    other = make_car()
    store.write([*rows, record(car, 9), record(other, 3, stream_id=0)])
    monkeypatch.setattr(store, "_PAGE", 2)
    place = car.vehicle.pk, car.device.pk, NOON + 1_500_000
    assert store.unverified_before(*place) == rows[1]
    assert list(store.unverified_since(*place)) == rows[2:]
    assert store.unverified_before(car.vehicle.pk, car.device.pk, NOON) is None


def test_compression_adds_up_per_vehicle_and_day(car: Car) -> None:
    other = make_car()
    for _ in range(2):
        store.count_compression(
            {(car.vehicle.pk, "2026-09-01"): [1, 2, 3, 4], (other.vehicle.pk, "2026-09-01"): [5, 5, 5, 5]}
        )
    store.count_compression({(car.vehicle.pk, "2026-09-02"): [1, 0, 0, 0]})
    rows = CompressionStat.objects.filter(vehicle=car.vehicle).order_by("day")
    assert list(rows.values_list("records", "transmitted_readings", "skipped_readings", "bytes_received")) == [
        (2, 4, 6, 8), (1, 0, 0, 0),
    ]  # fmt: skip
    assert rows[0].compression_ratio == 0.6 and rows[1].compression_ratio == 0.0
