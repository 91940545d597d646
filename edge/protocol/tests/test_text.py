"""JSON says the same as protobuf, in the forms clients really send."""

import json
from typing import Any

import pytest
from hypothesis import given

from edge.protocol import catalogue
from edge.protocol.checks import BadRecordError, check
from edge.protocol.encoder import Encoder
from edge.protocol.reconstructor import Reconstructor
from edge.protocol.signals import SIGNALS
from edge.protocol.telemetry_pb2 import Telemetry
from edge.protocol.tests.drives import Readings
from edge.protocol.tests.strategies import drives, examples
from edge.protocol.text import ALIASES, json_from_message, message_from_json

NOW = 1_700_000_000.0


def refusal(content: Any) -> BadRecordError:
    with pytest.raises(BadRecordError) as refused:
        message_from_json(content)
    return refused.value


def test_the_record_of_the_original_document() -> None:
    message = message_from_json(
        {
            "timestamp": 1234567890,
            "speed": 65.0,
            "battery": 82,
            "power": 12.5,
            "heading": 45,
            "vehicle_vin": "V1",
        }
    )
    assert message == Telemetry(
        timestamp=1234567890, speed=65.0, battery=82, power=12.5, heading=45, vin="V1"
    )


@examples(100)
@given(drives())
def test_json_equals_protobuf(drive: list[Readings]) -> None:
    encoder, receiver = Encoder("VIN", catalogue.load("tight-1"), 4), Reconstructor()
    for place, readings in enumerate(drive):
        message = encoder.encode(NOW + place, readings, {"speed": 3.0, "a.b": 1.0}, {"vin": "word", "n": "5"})
        same = message_from_json(json.loads(json.dumps(json_from_message(message))))
        assert same == message
        check(same, "VIN", same.stream_id, NOW)
        receiver.apply(same)


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_every_signal_by_name(signal: Any) -> None:
    assert getattr(message_from_json({signal.name: 1}), signal.name) == 1.0
    assert message_from_json({"unavailable": [signal.name, signal.number]}).unavailable == [signal.number] * 2


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_aliases(alias: str, name: str) -> None:
    value = "5" if name == "vin" else 5.0
    nested: Any = value
    for part in reversed(alias.split(".")):
        nested = {part: nested}
    assert message_from_json(nested) == message_from_json({name: value})
    assert message_from_json({"data": nested}) == message_from_json({name: value})


@pytest.mark.parametrize(
    ("given_time", "seconds"),
    [
        (1700000000, 1.7e9),
        (1700000000.25, 1700000000.25),
        ("1700000000.25", 1700000000.25),
        ("2023-11-14T22:13:20Z", 1.7e9),
        ("2023-11-14T22:13:20.25+00:00", 1700000000.25),
        ("2023-11-14T23:13:20+01:00", 1.7e9),
        ("2023-11-14 22:13:20", 1.7e9),
        ("2023-11-14", 1699920000.0),
    ],
)
def test_times(given_time: Any, seconds: float) -> None:
    assert message_from_json({"timestamp": given_time}).timestamp == seconds


@pytest.mark.parametrize("wrong", ["yesterday", "2023-13-01", [], [1], "", "0001-01-01T00:00:00+99:00"])
def test_what_is_no_time(wrong: Any) -> None:
    assert refusal({"timestamp": wrong}).field == "timestamp"


def test_whole_numbers_of_63_bits_may_be_strings() -> None:
    big = 2**63 - 1
    for stream in (big, str(big)):
        assert message_from_json({"stream_id": stream, "sequence": "12"}).stream_id == big
    assert message_from_json({"sequence": 12.0}).sequence == 12
    wrongs: tuple[Any, ...] = (-1, 2**64, "12.5", 12.5, "x", [], "", float("inf"))
    for wrong in wrongs:
        assert refusal({"stream_id": wrong}).field == "stream_id"
    assert refusal({"omitted": 2**32}).field == "omitted"


def test_unknown_keys_are_kept() -> None:
    message = message_from_json(
        {
            "tyre": {"left": 2.5},
            "open": True,
            "driver": "Zoë",
            "gears": [1, 2],
            "none": None,
            "long": "x" * 600,
        }
    )
    assert dict(message.extra) == {"tyre.left": 2.5, "open": 1.0}
    assert dict(message.labels) == {"driver": "Zoë", "gears": "[1, 2]", "long": "x" * 512}


def test_extra_and_labels_are_never_taken_for_signals() -> None:
    message = message_from_json({"extra": {"speed": 5, "lat": 1}, "labels": {"vin": "x", "count": 5}})
    assert dict(message.extra) == {"speed": 5.0, "lat": 1.0}
    assert dict(message.labels) == {"vin": "x", "count": "5"}
    assert not message.HasField("speed") and not message.vin


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ([], ""),
        ("text", ""),
        (None, ""),
        ({"speed": "fast"}, "speed"),
        ({"speed": [50]}, "speed"),
        ({"speed": 10**400}, "speed"),
        ({"extra": {"tyre": "flat"}}, "extra.tyre"),
        ({"wide": 10**400}, "extra.wide"),
        ({"keyframe": "yes"}, "keyframe"),
        ({"unavailable": ["warp"]}, "unavailable"),
        ({"unavailable": -1}, "unavailable"),
        ({"unavailable": [{}]}, "unavailable"),
        ({"vin": "\ud800"}, "vin"),
        ({"driver": "\ud800"}, "driver"),
        ({"\ud800": 5}, "?"),
    ],
)
def test_refusals_name_the_field(content: Any, field: str) -> None:
    assert refusal(content).field == field


def test_deep_nesting_is_refused() -> None:
    content: dict[str, Any] = {"a": 1}
    for _ in range(5_000):
        content = {"a": content}
    assert "deep" in refusal(content).reason
    assert "deep" in refusal({"labels": content}).reason


def test_a_deep_list_is_a_label_or_refused() -> None:
    content: list[Any] = []
    for _ in range(5_000):
        content = [content]
    assert refusal({"a": content}).field == "a"
