"""docs/protocol.md says what the code does: its tables and its worked example are checked against it."""

import re
from pathlib import Path

from edge.protocol import catalogue
from edge.protocol.checks import EARLIEST, FUTURE_LIMIT_S, MAX_EXTRA, MAX_NAME, MAX_TEXT
from edge.protocol.encoder import KEYFRAME_EVERY, Encoder
from edge.protocol.signals import BY_NUMBER, SIGNALS
from edge.protocol.telemetry_pb2 import Telemetry, TelemetryBatch
from edge.protocol.text import ALIASES, MAX_DEPTH

DOCUMENT = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text("utf-8")


def rows() -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCUMENT.splitlines()
        if line.startswith("|")
    ]


def test_the_table_of_signals_and_catalogues() -> None:
    table = [row for row in rows() if len(row) == 8 and row[0].isdigit()]
    rules = {name: catalogue.load(name).rules for name in catalogue.names()}
    assert [int(row[0]) for row in table] == [signal.number for signal in SIGNALS]
    for number, name, unit, low, high, steps, standard, tight in table:
        signal = BY_NUMBER[int(number)]
        assert (name, unit, float(low), float(high)) == (signal.name, signal.unit, signal.low, signal.high)
        for published, tolerance in (("standard-1", standard), ("tight-1", tight), ("document-1", tight)):
            rule = rules[published][signal.number]
            assert (rule.steps, rule.tolerance) == (int(steps), float(tolerance))
            smooth = published == "document-1" and name not in {"ignition", "charging"}
            assert rule.predictor.follows != smooth and rule.alpha == (77 if smooth else 256)


def test_every_field_of_both_messages_is_described() -> None:
    for kind, columns in ((Telemetry, 5), (TelemetryBatch, 4)):
        described = {(int(row[0]), row[1]) for row in rows() if len(row) == columns and row[0].isdigit()}
        fields = {(f.number, f.name) for f in kind.DESCRIPTOR.fields if not f.has_presence}
        assert described == fields


def test_the_worked_example() -> None:
    encoder = Encoder("WVWZZZ1KZAW000123", stream_id=0x0123456789ABCDEF)
    moments = (
        (1_700_000_000.0, {"speed": 50.0, "heading": 358.0}),
        (1_700_000_001.5, {"speed": 50.9, "battery": 80.0, "heading": 4.257}),
        (1_700_000_002.0, {"speed": 50.9, "battery": 80.1}),
    )
    blocks = [block for block in DOCUMENT.split("```")[1::2] if block.startswith("\n")]
    blocks[0] = blocks[0].partition("bytes")[2]
    for (time, readings), block in zip(moments, blocks, strict=True):
        message = encoder.encode(time, readings)
        shown = "".join(re.findall(r"\b[0-9a-f]{2}\b", block))
        assert shown == message.SerializeToString().hex()
        for crc in (message.state_crc, message.content_crc):
            assert f"{crc:08x}" in DOCUMENT
        state = ", ".join(f"{number}: {step}" for number, step in encoder.state.items())
        assert f"State {{{state}}}" in DOCUMENT


def test_limits_and_names() -> None:
    text = " ".join(DOCUMENT.split())
    assert f"from {EARLIEST:.0f}" in text and f"{FUTURE_LIMIT_S:.0f} s ahead" in text
    assert f"at most {MAX_NAME} characters" in text and f"at most {MAX_TEXT} characters" in text
    assert f"at most {MAX_EXTRA} entries" in text and f"at most {MAX_DEPTH} deep" in text
    assert f"({KEYFRAME_EVERY} by default" in text
    for alias, name in ALIASES.items():
        assert f"`{alias}`" in text and f"for `{name}`" in text
    for name in catalogue.names():
        assert f"`{name}`" in text
