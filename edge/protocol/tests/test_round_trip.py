"""What the car measured, the server has: each value within tolerance, each marked sent or reconstructed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocol import catalogue
from edge.protocol.catalogue import Catalogue
from edge.protocol.checks import check
from edge.protocol.encoder import Encoder, new_stream_id
from edge.protocol.reconstructor import Reconstructor, Values
from edge.protocol.signals import BY_NAME, BY_NUMBER, HEADING
from edge.protocol.telemetry_pb2 import Telemetry
from edge.protocol.tests.drives import Readings, generated_drive, real_drives
from edge.protocol.tests.strategies import drives, examples

NOW = 1_700_000_000.0


def assert_faithful(readings: Readings, message: Telemetry, values: Values, used: Catalogue) -> None:
    plausible = {
        BY_NAME[name].number: value
        for name, value in readings.items()
        if value is not None and BY_NAME[name].low <= value <= BY_NAME[name].high
    }
    assert values.signals.keys() == plausible.keys()
    sent = {field.number for field, _ in message.ListFields() if field.number in BY_NUMBER}
    assert values.sent == sum(1 << number for number in sent)
    assert message.omitted == len(plausible) - len(sent)
    for number, value in plausible.items():
        rule = used.rules[number]
        off = abs(value - values.signals[number])
        if number == HEADING:
            off = min(off, 360 - off)
        # A sent value is the reading at the signal's resolution.
        limit = 0.5 / rule.steps * (1 + 1e-6) + 1e-12 if number in sent else rule.tolerance
        assert off <= limit, (BY_NUMBER[number].name, value, values.signals[number])


@examples(300)
@given(drives(), st.sampled_from(catalogue.names()), st.integers(1, 5))
def test_every_value_within_tolerance(drive: list[Readings], name: str, keyframe_every: int) -> None:
    used = catalogue.load(name)
    encoder, receiver = Encoder("VIN", used, keyframe_every), Reconstructor()
    for place, readings in enumerate(drive):
        message = encoder.encode(NOW + place, readings)
        message = Telemetry.FromString(message.SerializeToString())
        check(message, "VIN", encoder.stream_id, NOW)
        values = receiver.apply(message)
        assert_faithful(readings, message, values, used)
        assert receiver.state == encoder.state
        assert list(receiver.state) == sorted(receiver.state)
        assert message.keyframe == (place % keyframe_every == 0)


@pytest.mark.parametrize("name", catalogue.names())
def test_generated_drives_in_every_catalogue(name: str) -> None:
    drive = generated_drive(seed=7)
    encoder, receiver = Encoder("VIN", catalogue.load(name)), Reconstructor()
    omitted = 0
    for time, readings in zip(drive.times, drive.readings, strict=True):
        message = encoder.encode(time, readings)
        assert_faithful(readings, message, receiver.apply(message), encoder.catalogue)
        omitted += message.omitted
    assert omitted > len(drive.times)


def test_every_recorded_value_within_tolerance() -> None:
    for place, drive in enumerate(real_drives(every_s=5.0)):
        encoder = Encoder("VIN", catalogue.load(catalogue.names()[place % len(catalogue.names())]))
        receiver = Reconstructor()
        for time, readings in zip(drive.times, drive.readings, strict=True):
            message = encoder.encode(time, readings)
            assert_faithful(readings, message, receiver.apply(message), encoder.catalogue)


@examples(100)
@given(drives(longest=8), st.sampled_from(catalogue.names()), st.integers(0, 7))
def test_the_state_survives_storage(drive: list[Readings], name: str, stop: int) -> None:
    encoder, receiver = Encoder("VIN", catalogue.load(name), 3), Reconstructor()
    for place, readings in enumerate(drive):
        message = encoder.encode(NOW + place, readings)
        if place == stop:
            restored = Reconstructor.restore(receiver.dump())
            assert restored == receiver
            assert restored.apply(message) == receiver.apply(message)
            receiver = restored
        else:
            receiver.apply(message)


def test_extra_and_labels_travel_unchanged() -> None:
    encoder, receiver = Encoder("VIN"), Reconstructor()
    message = encoder.encode(NOW, {"speed": 1.0}, {"tyre": 2.5, "broken": float("inf")}, {"driver": "Zoë"})
    assert dict(message.extra) == {"tyre": 2.5}
    assert dict(message.labels) == {"driver": "Zoë"}
    assert receiver.apply(message).signals == {BY_NAME["speed"].number: 1.0}


def test_an_unknown_signal_leaves_the_stream_where_it_was() -> None:
    encoder, receiver = Encoder("VIN"), Reconstructor()
    receiver.apply(encoder.encode(NOW, {"speed": 1.0}))
    with pytest.raises(KeyError):
        encoder.encode(NOW, {"speed": 20.0, "warp": 9.0})
    with pytest.raises(TypeError):
        encoder.encode(NOW, {"speed": 20.0}, labels={"driver": 5})  # type: ignore[dict-item]
    assert receiver.apply(encoder.encode(NOW, {"speed": 30.0})).signals == {BY_NAME["speed"].number: 30.0}


def test_a_requested_keyframe_carries_everything() -> None:
    encoder = Encoder("VIN")
    encoder.encode(NOW, {"speed": 1.0, "power": 2.0})
    encoder.request_keyframe()
    message = encoder.encode(NOW, {"speed": 1.0, "power": 2.0})
    assert message.keyframe and message.HasField("speed") and message.HasField("power")
    assert not encoder.encode(NOW, {"speed": 1.0, "power": 2.0}).keyframe


def test_streams_differ() -> None:
    ids = {new_stream_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(0 < stream < 2**63 for stream in ids)


def test_unverified_records_keep_what_was_sent() -> None:
    receiver = Reconstructor()
    receiver.apply_unverified(Telemetry(speed=50.0, power=10.004))
    values = receiver.apply_unverified(Telemetry(speed=60.123456))
    assert values.signals[BY_NAME["speed"].number] == 60.123456
    assert values.signals[BY_NAME["power"].number] == 10.004
    smoothed = receiver.apply_unverified(Telemetry()).signals[BY_NAME["speed"].number]
    assert smoothed == 53.04  # 5000 + 77/256 of the way to 6012, in hundredths
    assert receiver.catalogue is not None and receiver.catalogue.name == catalogue.DOCUMENT
