"""A published catalogue never changes, covers every signal, and its arithmetic is exact."""

import hashlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocol import catalogue
from edge.protocol.predictor import PREDICTORS
from edge.protocol.signals import BY_NAME, BY_NUMBER, HEADING, SIGNALS, mask_of, names_in
from edge.protocol.telemetry_pb2 import RawTelemetryBatch, Telemetry, TelemetryBatch

# Cars rely on these. A change needs a new name (standard-2), never a new hash under an old one.
PUBLISHED = {
    "document-1": "205f4a07c9000b8fb15f6b7becd67eed6ff8de0d6b17d4396d550b1d9803ce99",
    "standard-1": "cebdc4e3ce63e3c72a50941dc087995c476b1a7595434814b0a6c523adf34248",
    "tight-1": "ce0eb0a052e02325ecb8093cc6a9c80c8fedf84ffdfe802593fc9b61ecac3998",
}


def content_hash(name: str) -> str:
    """Over the meaning, not the layout of the file."""
    published = json.loads(Path(catalogue.__file__).with_name("catalogues.json").read_text("utf-8"))
    return hashlib.sha256(json.dumps(published[name], sort_keys=True).encode()).hexdigest()


def test_published_catalogues_have_not_changed() -> None:
    assert {name: content_hash(name) for name in catalogue.names()} == PUBLISHED


@pytest.mark.parametrize("name", catalogue.names())
def test_every_signal_has_a_usable_rule(name: str) -> None:
    rules = catalogue.load(name).rules
    assert rules.keys() == BY_NUMBER.keys()
    for number, rule in rules.items():
        signal = BY_NUMBER[number]
        assert 0 < rule.alpha <= 256
        assert rule.tolerance == 0 or rule.tolerance >= 0.5 / rule.steps
        for limit in (signal.low, signal.high):
            # Limits are whole steps, so that quantising never leaves the range.
            assert rule.quantise(limit) == limit * rule.steps
            assert abs(limit * rule.steps) < 2**52


def test_unknown_names() -> None:
    with pytest.raises(catalogue.UnknownCatalogueError):
        catalogue.load("standard-0")
    assert catalogue.DEFAULT in catalogue.names() and catalogue.DOCUMENT in catalogue.names()


@given(st.sampled_from(SIGNALS), st.data())
def test_a_sent_value_gives_its_own_step_again(signal: object, data: st.DataObject) -> None:
    assert hasattr(signal, "number") and hasattr(signal, "low") and hasattr(signal, "high")
    rule = catalogue.load(catalogue.DEFAULT).rules[signal.number]
    step = rule.quantise(data.draw(st.floats(signal.low, signal.high)))
    assert rule.quantise(step / rule.steps) == step


def test_heading_wraps() -> None:
    rule = catalogue.load("standard-1").rules[HEADING]
    assert rule.within(1.0, 35_800) and rule.within(359.0, 100) and rule.within(360.0, 0)
    assert not rule.within(3.01, 35_800) and not rule.within(180.0, 0)


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12), st.integers(1, 256))
def test_smoothing_rounds_halves_up(state: int, value: int, alpha: int) -> None:
    smooth = PREDICTORS["smooth"]
    exact = math.floor((2 * alpha * (value - state) + 256) / 512) if abs(value - state) < 2**40 else None
    if exact is not None:
        assert smooth.update(state, value, alpha) == state + exact
    assert smooth.update(state, value, 256) == value == PREDICTORS["last"].update(state, value, alpha)
    assert smooth.predict(smooth.start(value)) == value
    assert not smooth.follows and PREDICTORS["last"].follows


def test_signals_are_those_of_the_message() -> None:
    fields = Telemetry.DESCRIPTOR.fields_by_name
    for signal in SIGNALS:
        field = fields[signal.name]
        assert field.number == signal.number and field.has_presence and field.cpp_type == field.CPPTYPE_DOUBLE
    optional = {f.name for f in Telemetry.DESCRIPTOR.fields if f.has_presence}
    assert optional == BY_NAME.keys()
    assert len({signal.column for signal in SIGNALS}) == len(SIGNALS)
    assert [signal.number for signal in SIGNALS] == sorted(BY_NUMBER)


def test_a_batch_is_told_apart_by_its_first_byte() -> None:
    records = [Telemetry(vin="A", timestamp=1.0), Telemetry(timestamp=2.0, altitude=5.0)]
    content = TelemetryBatch(records=records, vin="B", stream_id=9).SerializeToString()
    assert content[0] == 0x7A
    raw = RawTelemetryBatch.FromString(content)
    assert [Telemetry.FromString(part) for part in raw.records] == records
    assert (raw.vin, raw.stream_id) == ("B", 9)
    assert all(field.number != 15 for field in Telemetry.DESCRIPTOR.fields)


def test_masks() -> None:
    mask = mask_of([6, 36])
    assert mask == 1 << 6 | 1 << 36
    assert names_in(mask) == ["speed", "hvac_power"]
