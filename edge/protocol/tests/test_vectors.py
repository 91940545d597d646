"""The golden vectors: both sides reproduce every byte, state and value of vectors.json."""

import json
from typing import Any

import pytest

from edge.protocol import vectors
from edge.protocol.catalogue import load
from edge.protocol.checks import BadRecordError, check
from edge.protocol.checksum import state_crc
from edge.protocol.encoder import Encoder
from edge.protocol.predictor import PREDICTORS
from edge.protocol.reconstructor import OutOfStepError, Reconstructor, Values
from edge.protocol.signals import BY_NUMBER, names_in
from edge.protocol.telemetry_pb2 import RawTelemetryBatch, Telemetry, TelemetryBatch
from edge.protocol.text import message_from_json

GOLDEN: dict[str, Any] = json.loads(vectors.FILE.read_text("utf-8"))


def named(numbered: dict[int, Any]) -> dict[str, Any]:
    return {BY_NUMBER[number].name: value for number, value in numbered.items()}


def parsed(step: dict[str, Any]) -> Telemetry:
    return Telemetry.FromString(bytes.fromhex(step["hex"]))


def assert_step(values: Values, receiver: Reconstructor, step: dict[str, Any]) -> None:
    assert named(values.signals) == step["values"]
    assert names_in(values.sent) == step["sent"]
    assert named(receiver.state) == step["state"]


def test_the_file_is_what_the_generator_writes() -> None:
    assert vectors.text() == vectors.FILE.read_text("utf-8"), "run python -m edge.protocol.vectors"


@pytest.mark.parametrize("stream", GOLDEN["streams"], ids=lambda stream: stream["name"])
def test_the_encoder_writes_these_bytes(stream: dict[str, Any]) -> None:
    encoder = Encoder(
        stream["vin"], load(stream["catalogue"]), stream["keyframe_every"], int(stream["stream_id"])
    )
    for step in stream["steps"]:
        moment = step["given"]
        if moment.get("keyframe_requested"):
            encoder.request_keyframe()
        message = encoder.encode(
            moment["timestamp"], moment["readings"], moment.get("extra"), moment.get("labels")
        )
        assert message.SerializeToString(deterministic=True).hex() == step["hex"]
        assert named(encoder.state) == step["state"]


@pytest.mark.parametrize("stream", GOLDEN["streams"], ids=lambda stream: stream["name"])
def test_the_reconstructor_reads_these_values(stream: dict[str, Any]) -> None:
    binary, textual = Reconstructor(), Reconstructor()
    for step in stream["steps"]:
        message = parsed(step)
        assert message == message_from_json(step["record"])
        assert check(message, message.vin, message.stream_id, vectors.NOW) == len(step["sent"])
        assert_step(binary.apply(message), binary, step)
        assert_step(textual.apply(message_from_json(step["record"])), textual, step)


def test_batches() -> None:
    streams = {stream["name"]: stream for stream in GOLDEN["streams"]}
    for batch in GOLDEN["batches"]:
        stream, content = streams[batch["stream"]], bytes.fromhex(batch["hex"])
        assert content[0] == 0x7A
        raw = RawTelemetryBatch.FromString(content)
        assert (raw.vin, str(raw.stream_id)) == (stream["vin"], stream["stream_id"])
        assert [part.hex() for part in raw.records] == batch["records"]
        receiver = Reconstructor()
        for message, step in zip(TelemetryBatch.FromString(content).records, stream["steps"], strict=False):
            assert not message.vin and not message.stream_id
            check(message, raw.vin, raw.stream_id, vectors.NOW)
            assert_step(receiver.apply(message), receiver, step)


def test_unverified_records() -> None:
    binary, textual = Reconstructor(), Reconstructor()
    for step in GOLDEN["unverified"]["steps"]:
        check(parsed(step), "", 0, vectors.NOW)
        assert_step(binary.apply_unverified(parsed(step)), binary, step)
        assert_step(textual.apply_unverified(message_from_json(step["json"])), textual, step)
    assert binary.catalogue is not None and binary.catalogue.name == GOLDEN["unverified"]["catalogue"]


@pytest.mark.parametrize("fault", GOLDEN["faults"], ids=lambda fault: fault["name"])
def test_faults(fault: dict[str, Any]) -> None:
    receiver = Reconstructor()
    for step in fault["steps"]:
        message = parsed(step)
        try:
            check(message, message.vin, message.stream_id, vectors.NOW + 60)
            receiver.apply(message)
            outcome = "complete"
        except BadRecordError as bad:
            outcome = f"rejected: {bad.field}"
        except OutOfStepError as lost:
            outcome = lost.fault.name.lower()
        assert outcome == step["outcome"]
    assert {step["outcome"] for step in fault["steps"]} != {"complete"}


def test_arithmetic() -> None:
    speed = load("standard-1").rules[6]
    for case in GOLDEN["arithmetic"]["quantise"]:
        assert case["steps"] == speed.steps and speed.quantise(case["value"]) == case["state"]
    for case in GOLDEN["arithmetic"]["smooth"]:
        after = PREDICTORS["smooth"].update(case["state"], case["value"], case["alpha"])
        assert after == case["after"]
    for case in GOLDEN["arithmetic"]["state_crc"]:
        assert state_crc({int(number): step for number, step in case["state"].items()}) == case["crc"]
