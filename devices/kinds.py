"""What can be sent to a device. Known kinds say what their parameters must be; other actions are the device's own.

A kind describes itself once: checks, forms, the API's list of kinds and its JSON schema are made of it.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

OBJECT_LIMIT = 4096
"""Bytes of JSON."""
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_ACTION = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


class NonsenseError(Exception):
    """`errors`: what is wrong by field, `parameters.target_temp` for a parameter."""

    def __init__(self, **errors: str) -> None:
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in errors.items()))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Number:
    name: str
    label: str
    low: float
    high: float
    unit: str = ""
    whole: bool = False
    required: bool = True
    example: float | None = None

    def reason_against(self, value: Any) -> str:
        """Why this cannot be, or nothing."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "Must be a number."
        if not self.low <= value <= self.high:  # NaN, too
            return f"Must be between {self.low:g} and {self.high:g}{self.unit and ' ' + self.unit}."
        if self.whole and value != int(value):
            return "Must be a whole number."
        return ""

    def parsed(self, text: str) -> Any:
        """What a form's text means; as it is when it is no number, for `reason_against` to say so."""
        try:
            number = float(text)
        except ValueError:
            return text
        if not math.isfinite(number):
            return text
        return int(number) if number.is_integer() else number

    def schema(self) -> dict[str, Any]:
        kind = "integer" if self.whole else "number"
        return {"type": kind, "minimum": self.low, "maximum": self.high, "title": self.label}


@dataclass(frozen=True, slots=True)
class Text:
    name: str
    label: str
    longest: int = 200
    choices: tuple[str, ...] = ()
    required: bool = True
    example: str = ""

    def reason_against(self, value: Any) -> str:
        if not isinstance(value, str) or "\x00" in value:
            return "Must be text."
        if self.choices and value not in self.choices:
            return f"Must be one of {', '.join(self.choices)}."
        if not 0 < len(value) <= self.longest:
            return f"Must be 1 to {self.longest} characters."
        return ""

    def parsed(self, text: str) -> Any:
        return text

    def schema(self) -> dict[str, Any]:
        choices = (
            {"enum": list(self.choices)} if self.choices else {"minLength": 1, "maxLength": self.longest}
        )
        return {"type": "string", "title": self.label, **choices}


Parameter = Number | Text


@dataclass(frozen=True, slots=True)
class Kind:
    action: str
    label: str
    parameters: tuple[Parameter, ...] = ()
    dangerous: bool = False
    """Needs a second person's approval, and is refused while the vehicle moves."""
    effect: str = ""

    def schema(self) -> dict[str, Any]:
        """JSON Schema of `parameters`. What it does not name is passed on to the device."""
        return {
            "type": "object",
            "properties": {each.name: each.schema() for each in self.parameters},
            "required": [each.name for each in self.parameters if each.required],
        }


_SECONDS = Number("seconds", "Seconds", 1, 3600, "s", required=False, example=5)
KINDS: dict[str, Kind] = {
    kind.action: kind
    for kind in (
        Kind(
            "start_heating",
            "Start heating",
            (Number("target_temp", "Target temperature", 10, 30, "°C", example=21),),
            effect="Warms the cabin up to the target.",
        ),
        Kind("stop_heating", "Stop heating"),
        Kind("locate", "Report position", effect="Asks for a fresh position."),
        Kind("honk", "Honk", (Number("seconds", "For", 1, 10, "s", required=False, example=2),)),
        Kind("flash_lights", "Flash lights", (_SECONDS,)),
        Kind("lock", "Lock doors"),
        Kind(
            "unlock", "Unlock doors", dangerous=True, effect="Opens the vehicle for whoever stands beside it."
        ),
        Kind(
            "immobilise",
            "Immobilise",
            dangerous=True,
            effect="The vehicle will not start again until it is released.",
        ),
        Kind("release", "Release immobiliser"),
        Kind("start_logger", "Start telemetry logger"),
        Kind("stop_logger", "Stop telemetry logger"),
        Kind(
            "set_interval",
            "Set send interval",
            (Number("seconds", "Every", 1, 86_400, "s", whole=True, example=10),),
        ),
        Kind(
            "update_config",
            "Fetch configuration",
            (Number("version", "Version", 1, 2**31 - 1, whole=True, required=False),),
        ),
        Kind("reboot", "Reboot device"),
    )
}
DANGEROUS = frozenset(action for action, kind in KINDS.items() if kind.dangerous)


def check(action: Any, parameters: Any) -> dict[str, Any]:
    """The parameters to keep. Unknown actions are the device's own: any name of the right form, any object.

    Raises NonsenseError.
    """
    if not isinstance(action, str) or not _ACTION.fullmatch(action):
        raise NonsenseError(
            action="Must begin with a lower-case letter; then letters, digits, `_`, `.`, `-`; up to 64."
        )
    if action not in KINDS and (meant := _in_disguise(action)):
        raise NonsenseError(action=f"Send `{meant}`, which another person has to approve.")
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, dict):
        raise NonsenseError(parameters="Must be an object.")
    if errors := _errors(KINDS.get(action), parameters):
        raise NonsenseError(**errors)
    if reason := reason_against(parameters):
        raise NonsenseError(parameters=reason)
    return parameters


def reason_against(content: dict[str, Any]) -> str:
    """Why an object cannot be kept and sent on as it is, or nothing: NUL and NaN are no JSON for PostgreSQL."""
    try:
        text = json.dumps(content, allow_nan=False)
        size = len(orjson.dumps(content))
    except (ValueError, TypeError, RecursionError):
        return "Must be plain JSON: finite numbers of 64 bits, whole characters."
    if size > OBJECT_LIMIT:
        return f"Must be at most {OBJECT_LIMIT} bytes of JSON; this is {size}."
    return "Must not hold the character NUL." if _NUL.search(text) else ""


def _errors(kind: Kind | None, parameters: Mapping[str, Any]) -> dict[str, str]:
    errors = {}
    for each in kind.parameters if kind else ():
        value = parameters.get(each.name)
        reason = "Is needed." if value is None else each.reason_against(value)
        if reason and (value is not None or each.required):
            errors[f"parameters.{each.name}"] = reason
    return errors


def _in_disguise(action: str) -> str:
    """A dangerous kind spelled otherwise must not slip past the approval."""
    plain = re.sub(r"[^a-z]", "", action).replace("z", "s")
    return next((each for each in DANGEROUS if each == plain), "")
