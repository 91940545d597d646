"""Reconstruction does not depend on how records come: late, shuffled, repeated, split, lost and found."""

import random
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings as DjangoSettings

from edge.protocol.checksum import content_crc
from edge.protocol.encoder import Encoder
from edge.protocol.signals import SIGNALS
from edge.protocol.telemetry_pb2 import Telemetry
from fleet.models import VehicleState
from telemetry.models import CompressionStat, Frame, Gap, HeldFrame, Quality, Stream, TelemetryRecord
from tests.deliveries import deliver, drain_all, time_is_up
from tests.drives import START, Reading, drive, encode, within_tolerance
from tests.world import Car, make_car, picture, rows_of

PROPERTY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def qualities(car: Car) -> str:
    """One letter per record in order: v(erified), u(nverified), i(ncomplete)."""
    rows = TelemetryRecord.objects.filter(vehicle=car.vehicle).order_by("time", "sequence")
    return "".join(Quality(quality).label[0] for quality in rows.values_list("quality", flat=True))


def assert_right(car: Car, readings: Sequence[Reading]) -> int:
    """Every stored value is within tolerance of what was measured; answers how many values are stored."""
    truth = {round(timestamp * 1e6): values for timestamp, values in readings}
    checked = 0
    for row in TelemetryRecord.objects.filter(vehicle=car.vehicle):
        measured = truth[round(row.time.timestamp() * 1e6)]
        for name, value in stored_values(row).items():
            assert within_tolerance(name, value, measured[name]), (row.sequence, name, value, measured[name])
            checked += 1
    return checked


def stored_values(row: TelemetryRecord) -> dict[str, float]:
    return {s.name: getattr(row, s.column) for s in SIGNALS if getattr(row, s.column) is not None}


@pytest.fixture
def patient(settings: DjangoSettings) -> None:
    settings.TELEMETRY_GAP_WAIT_S = 60.0


@pytest.fixture
def impatient(settings: DjangoSettings) -> None:
    settings.TELEMETRY_GAP_WAIT_S = 0.0


class TestInOrder:
    def test_a_drive_is_stored_completely(self, car: Car) -> None:
        readings = drive(120)
        messages = encode(car.vin, readings, keyframe_every=50)
        receipt = deliver(car, messages)
        assert (receipt.accepted, receipt.repeated, receipt.keyframe) == (120, 0, False)
        assert drain_all() == 120
        assert qualities(car) == "v" * 120
        assert assert_right(car, readings) == sum(len(values) for _, values in readings)
        assert Frame.objects.count() == 0

    def test_sent_and_reconstructed_values_can_be_told_apart(self, car: Car) -> None:
        messages = encode(car.vin, drive(30))
        deliver(car, messages)
        drain_all()
        for message, row in zip(messages, TelemetryRecord.objects.order_by("sequence"), strict=True):
            sent = {f.number for f, _ in message.ListFields() if 5 < f.number < 40}
            assert {number for number in range(64) if row.sent >> number & 1} == sent
            assert len(stored_values(row)) == len(sent) + message.omitted

    def test_state_and_counts_follow(self, car: Car) -> None:
        readings = drive(40)
        messages = encode(car.vin, readings)
        deliver(car, messages)
        drain_all()
        state = VehicleState.objects.get(vehicle=car.vehicle)
        assert (state.quality, state.time.timestamp()) == ("verified", readings[-1][0])
        assert state.values.keys() == readings[-1][1].keys()
        assert state.latitude_deg == state.values["latitude"]
        day = CompressionStat.objects.get(vehicle=car.vehicle)
        assert (day.records, day.skipped_readings) == (40, sum(m.omitted for m in messages))
        assert day.transmitted_readings + day.skipped_readings == sum(len(v) for _, v in readings)
        assert day.bytes_received == sum(len(m.SerializeToString()) for m in messages)

    def test_new_stream_per_restart_and_two_devices_of_one_vehicle(self, car: Car) -> None:
        other = make_car("demo", "spare")
        other.device.vehicle = car.vehicle
        other.device.save()
        first, second = drive(20), drive(20, seed=2, start=START + 20)
        third = drive(20, seed=3, start=START + 0.5)
        deliver(car, encode(car.vin, second, stream_id=1))
        deliver(car, encode(car.vin, first, stream_id=2))
        deliver(other, encode(car.vin, third, stream_id=2))
        drain_all()
        assert qualities(car) == "v" * 60
        assert_right(car, [*first, *second, *third])
        assert Stream.objects.filter(vehicle=car.vehicle).count() == 3
        assert VehicleState.objects.get(vehicle=car.vehicle).time.timestamp() == START + 39


@st.composite
def deliveries(draw: st.DrawFn, count: int) -> list[tuple[list[int], bool]]:
    """Requests of record indices, in any order, some of them twice; after which of them a drain runs."""
    order = draw(st.permutations(range(count)))
    repeated = draw(st.lists(st.integers(0, count - 1), max_size=6))
    whole = [*order, *repeated]
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    return [(part, draw(st.booleans())) for part in parts if part]


@pytest.mark.django_db
class TestAnyOrder:
    def compare(self, messages: Any, requests: list[tuple[list[int], bool]], kept: set[int]) -> None:
        """The same records to two cars: in order, and as `requests` say."""
        straight, mixed = make_car("straight"), make_car("mixed")
        deliver(straight, [m for n, m in enumerate(messages(straight)) if n in kept])
        drain_all()
        time_is_up()
        drain_all()
        all_messages = messages(mixed)
        for part, drained in requests:
            part_kept = [all_messages[n] for n in part if n in kept]
            if part_kept:
                deliver(mixed, part_kept)
            if drained:
                drain_all()
        drain_all()
        time_is_up()
        drain_all()
        wanted, got = picture(straight), picture(mixed)
        for part_name, content in wanted.items():
            assert got[part_name] == content, part_name
        assert got["frames"] == 0

    @PROPERTY
    @given(
        requests=deliveries(14), keyframes=st.sets(st.integers(1, 13)), lost=st.sets(st.integers(0, 13), max_size=4),
        waits=st.booleans(), seed=st.integers(0, 9),
    )  # fmt: skip
    def test_stream(
        self,
        settings: DjangoSettings,
        requests: Any,
        keyframes: set[int],
        lost: set[int],
        waits: bool,
        seed: int,
    ) -> None:
        settings.TELEMETRY_GAP_WAIT_S = 0.0

        def messages(car: Car) -> list[Telemetry]:
            encoder = Encoder(car.vin, stream_id=5)
            encoded = []
            for number, (timestamp, values) in enumerate(drive(14, seed)):
                if number in keyframes:
                    encoder.request_keyframe()
                encoded.append(encoder.encode(timestamp, values))
            return encoded

        self.compare(messages, requests, set(range(14)) - lost)

    @PROPERTY
    @given(requests=deliveries(14), keyframes=st.sets(st.integers(1, 13)), seed=st.integers(0, 9))
    def test_stream_that_waits(
        self, settings: DjangoSettings, requests: Any, keyframes: set[int], seed: int
    ) -> None:
        settings.TELEMETRY_GAP_WAIT_S = 60.0

        def messages(car: Car) -> list[Telemetry]:
            encoder = Encoder(car.vin, stream_id=5)
            encoded = []
            for number, (timestamp, values) in enumerate(drive(14, seed)):
                if number in keyframes:
                    encoder.request_keyframe()
                encoded.append(encoder.encode(timestamp, values))
            return encoded

        self.compare(messages, requests, set(range(14)))

    @PROPERTY
    @given(
        requests=deliveries(10),
        rows=st.lists(
            st.fixed_dictionaries(
                {"timestamp": st.sampled_from([START, START + 1, START + 2, START + 3.5])},
                optional={
                    "speed": st.sampled_from([10.0, 20.0, 33.3]), "battery": st.sampled_from([50.0, 51.0]),
                    "heading": st.sampled_from([1.0, 359.0]), "unavailable": st.sampled_from([[6], [7, 9]]),
                    "catalogue": st.sampled_from(["standard-1", "tight-1"]),
                },
            ),
            min_size=10, max_size=10,
        ),
    )  # fmt: skip
    def test_records_without_a_stream(self, requests: Any, rows: list[dict[str, Any]]) -> None:
        """Equal timestamps included: the content decides their order."""
        self.compare(lambda car: [Telemetry(**row) for row in rows], requests, set(range(10)))


class TestGaps:
    def test_waits_then_stores_incomplete_then_completes(self, car: Car, patient: None) -> None:
        readings = drive(6)
        messages = encode(car.vin, readings)
        deliver(car, [*messages[:2], *messages[3:]])
        drain_all()
        assert qualities(car) == "vv" and Frame.objects.count() == 3
        assert drain_all() == 0
        assert Stream.objects.get().wants_keyframe
        Frame.objects.update(received_at=timezone.now() - timedelta(seconds=61), due_at=timezone.now())
        drain_all()
        assert qualities(car) == "vviii" and Frame.objects.count() == 0 and HeldFrame.objects.count() == 3
        assert Stream.objects.get().incomplete == 3
        assert_right(car, readings)
        deliver(car, [messages[2]])
        drain_all()
        assert qualities(car) == "vvvvvv" and HeldFrame.objects.count() == 0
        assert Stream.objects.get().incomplete == 0 and not Stream.objects.get().wants_keyframe
        assert assert_right(car, readings) == sum(len(values) for _, values in readings)

    def test_missing_record_that_comes_in_time_leaves_no_trace(self, car: Car, patient: None) -> None:
        messages = encode(car.vin, drive(6))
        deliver(car, [*messages[:2], *messages[3:]])
        drain_all()
        deliver(car, [messages[2]])
        drain_all()
        assert qualities(car) == "vvvvvv"
        assert (HeldFrame.objects.count(), Gap.objects.count(), Frame.objects.count()) == (0, 0, 0)

    def test_incomplete_record_holds_only_what_was_sent(self, car: Car, impatient: None) -> None:
        messages = encode(car.vin, drive(6))
        deliver(car, [messages[0], messages[4]])
        drain_all()
        row = TelemetryRecord.objects.get(sequence=5)
        assert set(stored_values(row)) == {f.name for f, _ in messages[4].ListFields() if 5 < f.number < 40}

    def test_keyframe_ends_a_gap_and_is_no_longer_asked_for(self, car: Car, impatient: None) -> None:
        messages = encode(car.vin, drive(12), keyframe_every=6)
        assert deliver(car, [messages[0], *messages[2:4]]).keyframe
        drain_all()
        assert deliver(car, messages[4:6]).keyframe
        drain_all()
        assert not deliver(car, messages[6:8]).keyframe
        drain_all()
        assert qualities(car) == "viiiivv"
        assert not deliver(car, messages[8:]).keyframe
        gap = Gap.objects.get()
        assert (gap.first, gap.last) == (2, 6)
        deliver(car, [messages[1]])
        drain_all()
        assert qualities(car) == "v" * 12 and not Gap.objects.exists()

    def test_first_record_of_a_stream_lost(self, car: Car, impatient: None) -> None:
        readings = drive(8)
        messages = encode(car.vin, readings)
        assert deliver(car, messages[1:]).keyframe
        drain_all()
        assert qualities(car) == "i" * 7
        deliver(car, messages[:1])
        drain_all()
        assert qualities(car) == "v" * 8
        assert_right(car, readings)

    def test_diverged_state_is_noticed_at_once(self, car: Car) -> None:
        readings = drive(9)
        messages = encode(car.vin, readings, keyframe_every=6)
        messages[2].state_crc ^= 1
        messages[2].content_crc = content_crc(messages[2], car.vin, messages[2].stream_id)
        deliver(car, messages[:5])
        drain_all()
        assert qualities(car) == "vviii"
        assert Stream.objects.get().wants_keyframe
        time.sleep(0.06)  # streams that lost their place are read that often
        assert deliver(car, messages[5:6]).keyframe
        deliver(car, messages[6:])
        drain_all()
        assert qualities(car) == "vviiiivvv"
        assert not Stream.objects.get().wants_keyframe
        assert_right(car, readings)

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_one_percent_lost_is_never_silently_wrong(self, car: Car, impatient: None, seed: int) -> None:
        chance = random.Random(seed)
        readings = drive(2_000, seed)
        messages = encode(car.vin, readings, keyframe_every=100)
        arriving = [m for m in messages if chance.random() > 0.01]
        for at in range(0, len(arriving), 50):
            part = arriving[at : at + 50]
            chance.shuffle(part)
            deliver(car, [*part, *part[:3]])
            drain_all()
        assert TelemetryRecord.objects.count() == len(arriving)
        stored = assert_right(car, readings)
        everything = sum(len(values) for _, values in readings)
        letters = qualities(car)
        assert 0 < letters.count("i") < len(arriving) and stored < everything
        # The lost ones turn up at last: nothing is missing, and everything is right.
        deliver(car, messages[::-1][:2_000])
        drain_all()
        assert qualities(car) == "v" * 2_000
        assert assert_right(car, readings) == everything


class TestWithoutStream:
    def test_omitted_values_come_from_the_vehicles_state_and_say_so(self, car: Car) -> None:
        deliver(car, [Telemetry(timestamp=START, speed=50, battery=80)])
        deliver(car, [Telemetry(timestamp=START + 1, speed=60)])
        drain_all()
        late = TelemetryRecord.objects.order_by("time")[1]
        assert (late.quality, late.speed_kmh, late.battery_percent) == (Quality.UNVERIFIED, 60, 80)
        assert late.sent == 1 << 6

    def test_very_late_record_changes_what_it_must(self, car: Car) -> None:
        deliver(car, [Telemetry(timestamp=START + n, speed=n) for n in range(50)])
        drain_all()
        deliver(car, [Telemetry(timestamp=START - 5, battery=70)])
        drain_all()
        assert set(TelemetryRecord.objects.values_list("battery_percent", flat=True)) == {70}
        before = rows_of(car)
        deliver(car, [Telemetry(timestamp=START - 5, battery=70)])
        drain_all()
        assert rows_of(car) == before and Stream.objects.get().repeated == 1
