"""A record that was lost, repeated, moved or damaged is noticed at the very next one; nothing is guessed."""

import random

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from edge.protocol import catalogue
from edge.protocol.checks import BadRecordError, check
from edge.protocol.encoder import Encoder
from edge.protocol.reconstructor import Fault, OutOfStepError, Reconstructor
from edge.protocol.telemetry_pb2 import Telemetry
from edge.protocol.tests.drives import Drive, generated_drive, real_drives
from edge.protocol.tests.strategies import examples
from edge.protocol.text import json_from_message

VIN = "WVWZZZ1KZAW000123"
NOW = 4e9


def encoded(drive: Drive, name: str = "standard-1", keyframe_every: int = 50) -> list[Telemetry]:
    encoder = Encoder(VIN, catalogue.load(name), keyframe_every)
    return [
        encoder.encode(time, readings, {"n": 1.5}, {"mode": "eco"} if place % 9 == 0 else None)
        for place, (time, readings) in enumerate(zip(drive.times, drive.readings, strict=True))
    ]


GENERATED = {name: encoded(generated_drive(3, 120), name) for name in catalogue.names()}


def receive(content: bytes, receiver: Reconstructor) -> object:
    """What a server does with one record: the values, or how the fault was noticed."""
    try:
        message = Telemetry.FromString(content)
        check(message, message.vin or VIN, message.stream_id, NOW)
        return receiver.apply(message)
    except (DecodeError, BadRecordError, OutOfStepError) as noticed:
        return noticed


def received_until(messages: list[Telemetry], end: int) -> Reconstructor:
    receiver = Reconstructor()
    start = max(place for place in range(end + 1) if messages[place].keyframe)
    for message in messages[start:end]:
        receiver.apply(message)
    return receiver


def not_keyframe(messages: list[Telemetry], place: int) -> int:
    return place + 1 if messages[place].keyframe else place


@examples(200)
@given(st.sampled_from(catalogue.names()), st.integers(1, 110))
def test_a_lost_record_is_noticed_at_once(name: str, place: int) -> None:
    messages = GENERATED[name]
    place = not_keyframe(messages, place)
    receiver = received_until(messages, place)
    following = messages[place + 1]
    if following.keyframe:
        receiver.apply(following)
        return
    with pytest.raises(OutOfStepError) as noticed:
        receiver.apply(following)
    assert noticed.value.fault is Fault.GAP
    receiver.apply(messages[place])  # it turns up after all: nothing was spoilt
    receiver.apply(following)


@examples(200)
@given(st.sampled_from(catalogue.names()), st.integers(1, 110), st.integers(0, 5))
def test_a_repeated_record_is_noticed_at_once(name: str, place: int, back: int) -> None:
    messages = GENERATED[name]
    receiver = received_until(messages, place + 1)
    repeated = not_keyframe(messages, max(1, place - back))
    if repeated > place:
        return
    with pytest.raises(OutOfStepError):
        receiver.apply(messages[repeated])
    receiver.apply(messages[place + 1])


@examples(1000)
@given(st.sampled_from(catalogue.names()), st.integers(0, 110), st.data())
def test_a_flipped_bit_is_noticed_or_means_nothing(name: str, place: int, data: st.DataObject) -> None:
    messages = GENERATED[name]
    content = bytearray(messages[place].SerializeToString())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    assert_noticed(bytes(content), messages, place)


def assert_noticed(content: bytes, messages: list[Telemetry], place: int) -> None:
    outcome = receive(content, received_until(messages, place))
    if isinstance(outcome, Exception):
        return
    # Accepted: then it says the same in other bytes (a true of 3, a VIN dropped that the token implies).
    damaged = json_from_message(Telemetry.FromString(content))
    assert {"vin": VIN} | damaged == json_from_message(messages[place])
    assert outcome == received_until(messages, place).apply(messages[place])


def test_every_single_bit_of_a_record_with_everything() -> None:
    encoder = Encoder(VIN)
    messages = [
        encoder.encode(1.7e9, {"speed": 50.0, "battery": 80.0, "power": 7.0}),
        encoder.encode(1.7e9 + 1, {"speed": 60.0, "heading": 2.0}, {"a": 1.0, "b": 2.0}, {"c": "d"}),
        encoder.encode(1.7e9 + 2, {}),
    ]
    for place, message in enumerate(messages):
        whole = message.SerializeToString()
        for bit in range(8 * len(whole)):
            content = bytearray(whole)
            content[bit // 8] ^= 1 << bit % 8
            assert_noticed(bytes(content), messages, place)


def test_recorded_drives_with_faults() -> None:
    """Every recorded drive, with a fault every few records: none passes unnoticed."""
    chance = random.Random(5)
    for drive in real_drives(every_s=10.0):
        messages = encoded(drive)
        receiver = Reconstructor()
        for place, message in enumerate(messages[:-1]):
            receiver.apply(message)
            following = messages[place + 1]
            if chance.randrange(8) or following.keyframe:
                continue
            content = bytearray(following.SerializeToString())
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            copy = Reconstructor.restore(receiver.dump())
            outcome = receive(bytes(content), copy)
            if not isinstance(outcome, Exception):
                assert outcome == Reconstructor.restore(receiver.dump()).apply(following)
            for wrong in (message, *messages[place + 2 : place + 4]):
                if not wrong.keyframe:
                    with pytest.raises(OutOfStepError):
                        receiver.apply(wrong)


def test_another_state_behind_the_right_number_is_noticed() -> None:
    first, second = Encoder(VIN, stream_id=5), Encoder(VIN, stream_id=5)
    receiver = Reconstructor()
    receiver.apply(first.encode(1.7e9, {"speed": 50.0, "power": 1.0}))
    second.encode(1.7e9, {"speed": 50.0, "power": 3.0})
    foreign = second.encode(1.7e9 + 1, {"speed": 60.0, "power": 3.0})
    with pytest.raises(OutOfStepError) as noticed:
        receiver.apply(foreign)
    assert noticed.value.fault is Fault.DIVERGED
    with pytest.raises(OutOfStepError):
        receiver.apply(first.encode(1.7e9 + 2, {"speed": 50.0, "power": 1.0}))
    first.request_keyframe()
    assert receiver.apply(first.encode(1.7e9 + 3, {"speed": 50.0})).sent


def test_a_wrong_count_of_omitted_signals_is_noticed() -> None:
    encoder, receiver = Encoder(VIN), Reconstructor()
    receiver.apply(encoder.encode(1.7e9, {"speed": 50.0}))
    message = encoder.encode(1.7e9 + 1, {"speed": 50.0})
    message.omitted = 2
    with pytest.raises(OutOfStepError):
        receiver.apply(message)
