"""The form that sends a command, made of its kind's description."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devices.commands import TTL_S, Order
from devices.kinds import KINDS, Kind, Number, Parameter

CUSTOM = "custom"
LIVES = ((60, "1 minute"), (300, "5 minutes"), (900, "15 minutes"), (3600, "1 hour"), (86_400, "1 day"))


@dataclass(frozen=True, slots=True)
class Field:
    """One input for one parameter."""

    parameter: Parameter
    value: str
    error: str

    @property
    def name(self) -> str:
        return f"p-{self.parameter.name}"

    @property
    def is_number(self) -> bool:
        return isinstance(self.parameter, Number)

    @property
    def step(self) -> str:
        return "1" if isinstance(self.parameter, Number) and self.parameter.whole else "any"


class CommandForm:
    """What was filled in, or the chosen kind with its examples."""

    def __init__(self, data: Mapping[str, str], bound: bool = False) -> None:
        self.data, self.bound = data, bound
        chosen = data.get("action", "")
        self.chosen = chosen if chosen in KINDS or chosen == CUSTOM else next(iter(KINDS))
        self.kind: Kind | None = KINDS.get(self.chosen)
        self.errors: dict[str, str] = {}
        self.notice = ""
        self.kinds = [(kind.action, kind.label) for kind in KINDS.values()]
        self.lives = LIVES
        self.ttl_s = self._ttl()

    @property
    def fields(self) -> list[Field]:
        found = []
        for each in self.kind.parameters if self.kind else ():
            example = "" if each.example is None else str(each.example)
            value = self.data.get(f"p-{each.name}", "") if self.bound else example
            found.append(Field(each, value, self.errors.get(f"parameters.{each.name}", "")))
        return found

    @property
    def own_action(self) -> str:
        return self.data.get("own_action", "")

    @property
    def own_parameters(self) -> str:
        return self.data.get("own_parameters", "") or "{}"

    @property
    def action_error(self) -> str:
        return self.errors.get("action", "")

    @property
    def parameters_error(self) -> str:
        return self.errors.get("parameters", "")

    def order(self) -> Order:
        """As it was filled in; whether it makes sense is for `send` to say."""
        if self.kind is None:
            return Order(self.own_action.strip(), self._own(), self.ttl_s)
        filled = {each.name: self.data.get(f"p-{each.name}", "").strip() for each in self.kind.parameters}
        parameters = {
            each.name: each.parsed(filled[each.name]) for each in self.kind.parameters if filled[each.name]
        }
        return Order(self.kind.action, parameters, self.ttl_s)

    def _own(self) -> Any:
        try:
            return json.loads(self.own_parameters)
        except (ValueError, RecursionError):
            return self.own_parameters  # no object: refused with the reason

    def _ttl(self) -> int:
        text = self.data.get("ttl_s", "")
        return int(text) if text.isdecimal() and len(text) < 7 else TTL_S
