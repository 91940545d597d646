"""Signal catalogues: per signal the resolution, tolerance and predictor both sides use. Versioned by name.

A published name never changes its content: a car that names it in a keyframe relies on every number.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from edge.protocol.predictor import PREDICTORS, Predictor
from edge.protocol.signals import BY_NAME, HEADING

DEFAULT: Final = "standard-1"
DOCUMENT: Final = "document-1"
"""For senders without stream and sequence: the plain exponential smoothing of the original document."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one signal is kept: `steps` per unit, `tolerance` in units, predictor and its alpha in 256ths."""

    number: int
    steps: int
    tolerance: float
    predictor: Predictor
    alpha: int

    def moved(self, state: int | None, step: int) -> int:
        """The state after `step` was sent; None when the signal was not known before."""
        if state is None:
            return self.predictor.start(step)
        return self.predictor.update(state, step, self.alpha)

    def quantise(self, value: float) -> int:
        """Nearest step, halves upwards: floor(value * steps + 0.5) in IEEE doubles."""
        return math.floor(value * self.steps + 0.5)

    def value(self, state: int) -> float:
        """What the receiver takes for the signal while it is omitted."""
        return self.predictor.predict(state) / self.steps

    def within(self, value: float, state: int) -> bool:
        """Would the receiver's reconstruction of `value` be near enough? Compared with the raw reading."""
        off = abs(value - self.value(state))
        if self.number == HEADING and off > 180:
            off = 360 - off
        return off <= self.tolerance


@dataclass(frozen=True, slots=True)
class Catalogue:
    name: str
    rules: dict[int, Rule]


class UnknownCatalogueError(LookupError):
    """A keyframe named a catalogue that this side does not have."""


@cache
def _published() -> dict[str, dict[str, list[object]]]:
    content: dict[str, dict[str, list[object]]] = json.loads(
        Path(__file__).with_name("catalogues.json").read_text("utf-8")
    )
    return content


def names() -> list[str]:
    return sorted(_published())


@cache
def load(name: str) -> Catalogue:
    """The catalogue of that name; raises UnknownCatalogueError."""
    published = _published().get(name)
    if published is None:
        raise UnknownCatalogueError(name)
    rules = {}
    for signal, (steps, tolerance, predictor, alpha) in published.items():
        number = BY_NAME[signal].number
        assert isinstance(steps, int) and isinstance(alpha, int)
        assert isinstance(tolerance, int | float) and isinstance(predictor, str)
        rules[number] = Rule(number, steps, float(tolerance), PREDICTORS[predictor], alpha)
    return Catalogue(name, rules)
