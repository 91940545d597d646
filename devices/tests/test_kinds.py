"""What may be sent: known kinds by their schema, other actions by their form."""

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.kinds import DANGEROUS, KINDS, NonsenseError, Number, check


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("start_heating", {"target_temp": 21}),
        ("start_heating", {"target_temp": 10.0, "zone": "rear"}),
        ("stop_heating", None),
        ("honk", {}),
        ("honk", {"seconds": 2}),
        ("set_interval", {"seconds": 60}),
        ("set_fan", {"fan": "exhaust", "speed": [1, {"a": None}]}),
        ("x", {}),
        ("a" * 64, {"text": "back\\u0000slash"}),
    ],
)
def test_sense(action: str, parameters: Any) -> None:
    assert check(action, parameters) == (parameters or {})


@pytest.mark.parametrize(
    ("action", "parameters", "field"),
    [
        ("start_heating", {}, "parameters.target_temp"),
        ("start_heating", {"target_temp": None}, "parameters.target_temp"),
        ("start_heating", {"target_temp": 9.9}, "parameters.target_temp"),
        ("start_heating", {"target_temp": 31}, "parameters.target_temp"),
        ("start_heating", {"target_temp": "21"}, "parameters.target_temp"),
        ("start_heating", {"target_temp": True}, "parameters.target_temp"),
        ("start_heating", {"target_temp": float("nan")}, "parameters.target_temp"),
        ("start_heating", {"target_temp": 10**400}, "parameters.target_temp"),
        ("set_interval", {"seconds": 1.5}, "parameters.seconds"),
        ("honk", {"seconds": 0}, "parameters.seconds"),
        ("honk", [], "parameters"),
        ("honk", "x", "parameters"),
        ("custom", {"a": "\x00"}, "parameters"),
        ("custom", {"\x00": 1}, "parameters"),
        ("custom", {"a": "\ud800"}, "parameters"),
        ("custom", {"a": float("inf")}, "parameters"),
        ("custom", {"a": 2**64}, "parameters"),
        ("custom", {"a": "x" * 4096}, "parameters"),
        ("", {}, "action"),
        ("Honk", {}, "action"),
        ("1honk", {}, "action"),
        ("honk!", {}, "action"),
        ("honk\n", {}, "action"),
        ("a" * 65, {}, "action"),
        (7, {}, "action"),
        (None, {}, "action"),
        ("immobilize", {}, "action"),
        ("im_mobilise", {}, "action"),
        ("un-lock", {}, "action"),
    ],
)
def test_nonsense(action: Any, parameters: Any, field: str) -> None:
    with pytest.raises(NonsenseError) as refused:
        check(action, parameters)
    assert list(refused.value.errors) == [field] and refused.value.errors[field]


def test_dangerous_kinds() -> None:
    assert sorted(DANGEROUS) == ["immobilise", "unlock"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_published_schema_is_a_schema_and_the_example_fits(kind: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(kind.schema())
    example = {each.name: each.example for each in kind.parameters if each.example}
    jsonschema.validate(example, kind.schema())
    assert check(kind.action, example) == example


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_the_published_schema_and_the_check_agree(action: str, data: st.DataObject) -> None:
    kind = KINDS[action]
    values = (
        st.none()
        | st.booleans()
        | st.integers(-5, 100_000)
        | st.floats(-5, 100, width=16)
        | st.text(max_size=3)
    )
    parameters = {
        each.name: data.draw(values.filter(lambda value: value is not None))
        for each in kind.parameters
        if data.draw(st.booleans())
    }
    try:
        check(action, parameters)
        sense = True
    except NonsenseError:
        sense = False
    if any("\x00" in value for value in parameters.values() if isinstance(value, str)):
        return
    assert sense == jsonschema.Draft202012Validator(kind.schema()).is_valid(parameters)


@given(st.text(max_size=12))
def test_a_forms_text_never_breaks(text: str) -> None:
    number = Number("n", "N", 1, 5)
    assert isinstance(number.reason_against(number.parsed(text)), str)
