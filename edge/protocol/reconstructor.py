"""The receiving side: turns records back into complete ones, and notices at once when it cannot.

One Reconstructor per stream; its state is plain integers, so it can be stored with the data it produced.
"""

from dataclasses import dataclass, field
from enum import Enum
from math import floor
from typing import NamedTuple, Self

from edge.protocol.catalogue import DOCUMENT, Catalogue, load
from edge.protocol.checksum import state_crc
from edge.protocol.content import signals_of
from edge.protocol.telemetry_pb2 import Telemetry


class Fault(Enum):
    """Why a record cannot be completed."""

    GAP = "it does not follow the record before it"
    DIVERGED = "the sender's predictor state differs from ours"


class OutOfStepError(Exception):
    """The record cannot be reconstructed; the sender must be asked for a keyframe."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Values(NamedTuple):
    """A record's signals: number to value in the signal's unit, and which of them were sent."""

    signals: dict[int, float]
    sent: int
    """Bit n set: signal n was in the message. The others in `signals` are reconstructed."""


@dataclass(slots=True)
class Reconstructor:
    """`catalogue` is None until the first keyframe; `sequence` is that of the last record applied."""

    catalogue: Catalogue | None = None
    state: dict[int, int] = field(default_factory=dict)
    sequence: int = 0
    _predicted: dict[int, float] = field(init=False, default_factory=dict, repr=False, compare=False)
    """What each signal is when it is omitted next. Follows from `state`; kept because every record asks."""

    def __post_init__(self) -> None:
        if self.catalogue is not None:
            rules = self.catalogue.rules
            self._predicted = {n: rules[n].value(state) for n, state in self.state.items()}

    def apply(self, message: Telemetry) -> Values:
        """The complete record. Each record must follow the one before it, or be a keyframe.

        Raises OutOfStepError: GAP leaves the state as it was; after DIVERGED only a keyframe helps.
        """
        if message.keyframe:
            self._start(message.catalogue)
        elif self.catalogue is None or message.sequence != self.sequence + 1:
            raise OutOfStepError(Fault.GAP)
        values = self._advance(message)
        if state_crc(self.state) != message.state_crc or len(values.signals) != (
            values.sent.bit_count() + message.omitted
        ):
            self.catalogue = None
            raise OutOfStepError(Fault.DIVERGED)
        self.sequence = message.sequence
        return values

    def apply_unverified(self, message: Telemetry) -> Values:
        """The same without a stream: nothing can be checked, values are kept as they were sent."""
        name = message.catalogue or (self.catalogue.name if self.catalogue else DOCUMENT)
        if message.keyframe or self.catalogue is None or self.catalogue.name != name:
            self._start(name)
        return self._advance(message)

    def _start(self, catalogue: str) -> None:
        self.catalogue = load(catalogue)
        self.state, self._predicted = {}, {}

    def _advance(self, message: Telemetry) -> Values:
        assert self.catalogue is not None
        present, values = signals_of(message)
        if present.lists:
            for number in message.unavailable:
                self.state.pop(number, None)
                self._predicted.pop(number, None)
        state, rules, predicted = self.state, self.catalogue.rules, self._predicted
        known_before = len(state)
        signals = predicted.copy()
        for number, value in zip(present.numbers, values, strict=True):
            rule = rules[number]
            signals[number] = value
            step = floor(value * rule.steps + 0.5)
            if rule.predictor.follows:
                state[number] = step
                predicted[number] = step / rule.steps
            else:
                state[number] = moved = rule.moved(state.get(number), step)
                predicted[number] = rule.value(moved)
        if len(state) != known_before:
            self.state = dict(sorted(state.items()))
        return Values(signals, present.mask)

    def dump(self) -> dict[str, object]:
        """For storage as JSON; `restore` reads it."""
        return {
            "catalogue": self.catalogue.name if self.catalogue else None,
            "sequence": self.sequence,
            "state": {str(number): value for number, value in self.state.items()},
        }

    @classmethod
    def restore(cls, dumped: dict[str, object]) -> Self:
        name, sequence, state = dumped.get("catalogue"), dumped.get("sequence", 0), dumped.get("state")
        assert isinstance(state, dict) and isinstance(sequence, int)
        numbers = {int(number): int(value) for number, value in state.items()}
        return cls(load(name) if isinstance(name, str) else None, dict(sorted(numbers.items())), sequence)
