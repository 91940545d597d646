"""A record that can never be accepted is refused with the field and the reason."""

import math
from collections.abc import Callable

import pytest

from edge.protocol.checks import BadRecordError, check
from edge.protocol.checksum import content_crc
from edge.protocol.encoder import Encoder
from edge.protocol.signals import BY_NAME, SIGNALS
from edge.protocol.telemetry_pb2 import Telemetry

NOW = 1_700_000_000.0
STREAM = 77


def record(**fields: object) -> Telemetry:
    """A good record of a stream, changed by `fields`, its checksum right again."""
    message = Encoder("VIN", stream_id=STREAM).encode(NOW, {"speed": 50.0})
    for name, value in fields.items():
        setattr(message, name, value)
    message.content_crc = content_crc(message, "VIN", message.stream_id)
    return message


def refusal(message: Telemetry) -> BadRecordError:
    with pytest.raises(BadRecordError) as refused:
        check(message, "VIN", message.stream_id, NOW)
    return refused.value


def test_a_good_record_passes_and_its_signals_are_counted() -> None:
    assert check(record(), "VIN", STREAM, NOW) == 1
    assert check(Telemetry(timestamp=NOW, speed=1.0, latitude=0.0), "VIN", 0, NOW) == 2
    assert check(Telemetry(timestamp=NOW), "VIN", 0, NOW) == 0


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_every_signal_has_its_limits(signal: object) -> None:
    name, low, high = signal.name, signal.low, signal.high  # type: ignore[attr-defined]
    for good in (low, high):
        assert check(record(**{name: float(good)}), "VIN", STREAM, NOW)
    for bad in (
        math.nextafter(low, -math.inf),
        math.nextafter(high, math.inf),
        math.nan,
        math.inf,
        -math.inf,
    ):
        refused = refusal(record(**{name: bad}))
        assert refused.field == name
        assert BY_NAME[name].unit in refused.reason


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"timestamp": 0.0}, "timestamp", "missing"),
        ({"timestamp": math.nan}, "timestamp", "missing"),
        ({"timestamp": NOW + 601}, "timestamp", "601 s in the future"),
        ({"timestamp": math.inf}, "timestamp", "future"),
        ({"sequence": 0}, "sequence", "counts from 1"),
        ({"sequence": 2**63}, "sequence", "counts from 1"),
        ({"stream_id": 2**63}, "stream_id", "2^63"),
        ({"catalogue": "unheard-of"}, "catalogue", "standard-1"),
        ({"catalogue": ""}, "catalogue", "standard-1"),
        ({"catalogue": "x" * 65}, "catalogue", "longer"),
    ],
)
def test_fields_of_the_stream(fields: dict[str, object], field: str, reason: str) -> None:
    refused = refusal(record(**fields))
    assert refused.field == field
    assert reason in refused.reason
    assert str(refused) == f"{refused.field}: {refused.reason}"


def _extra(message: Telemetry) -> None:
    message.extra["tyre"] = math.nan


def _many(message: Telemetry) -> None:
    message.extra.update({str(n): 1.0 for n in range(257)})


def _long_name(message: Telemetry) -> None:
    message.extra["x" * 513] = 1.0


def _long_label(message: Telemetry) -> None:
    message.labels["driver"] = "x" * 513


def _null_label(message: Telemetry) -> None:
    message.labels["driver"] = "a\0b"


def _null_name(message: Telemetry) -> None:
    message.labels["dri\0ver"] = "a"


def _no_signal(message: Telemetry) -> None:
    message.unavailable.append(15)


def _big_signal(message: Telemetry) -> None:
    message.unavailable.append(2**32 - 1)


def _endless(message: Telemetry) -> None:
    message.unavailable.extend([6] * 31)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (_extra, "extra.tyre"),
        (_many, "extra"),
        (_long_name, "extra"),
        (_long_label, "labels.driver"),
        (_null_label, "labels.driver"),
        (_null_name, "labels"),
        (_no_signal, "unavailable"),
        (_big_signal, "unavailable"),
        (_endless, "unavailable"),
    ],
)
def test_lists(change: Callable[[Telemetry], None], field: str) -> None:
    message = record()
    change(message)
    message.content_crc = content_crc(message, "VIN", STREAM)
    assert refusal(message).field == field


def test_damage_is_found_before_a_sensor_is_blamed() -> None:
    message = record()
    message.speed = 1e9
    assert refusal(message).field == "content_crc"


def test_a_record_of_another_vehicle_or_stream_is_damage() -> None:
    message = record()
    for vin, stream in (("OTHER", STREAM), ("VIN", STREAM + 1)):
        with pytest.raises(BadRecordError) as refused:
            check(message, vin, stream, NOW)
        assert refused.value.field == "content_crc"
    with pytest.raises(BadRecordError) as refused:
        check(message, "V" * 65, STREAM, NOW)
    assert refused.value.field == "vin"


@pytest.mark.parametrize("stream_id", [-1, 2**63, 2**80])
def test_a_batch_may_name_an_impossible_stream(stream_id: int) -> None:
    with pytest.raises(BadRecordError) as refused:
        check(record(), "VIN", stream_id, NOW)
    assert refused.value.field == "stream_id"


def test_a_checksum_without_a_stream_is_checked_when_it_is_there() -> None:
    message = Telemetry(timestamp=NOW, speed=5.0)
    message.content_crc = content_crc(message, "VIN", 0)
    assert check(message, "VIN", 0, NOW) == 1
    message.speed = 6.0
    assert refusal(message).field == "content_crc"


def test_old_and_slightly_early_records_are_believed() -> None:
    for timestamp in (946_684_800.0, NOW - 10 * 365 * 86_400, NOW + 600):
        assert check(record(timestamp=timestamp), "VIN", STREAM, NOW) == 1


def test_different_contents_never_share_their_bytes() -> None:
    """Parts that could be taken for each other: names, numbers of signals, catalogue."""
    contents = [
        Telemetry(catalogue="A"),
        Telemetry(unavailable=[65]),
        Telemetry(labels={"A": ""}),
        Telemetry(labels={"": "A"}),
        Telemetry(labels={"A\0": "\0"}),
        Telemetry(labels={"A": "\0\0"}),
        Telemetry(extra={"A": 0.0}),
        Telemetry(extra={"": 0.0}),
        Telemetry(speed=0.0),
        Telemetry(battery=0.0),
        Telemetry(),
    ]
    assert len({content_crc(message, "", 0) for message in contents}) == len(contents)
    assert content_crc(Telemetry(catalogue="B"), "A", 0) != content_crc(Telemetry(), "AB", 0)
