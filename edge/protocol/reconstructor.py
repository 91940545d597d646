"""The receiving side: turns records back into complete ones, and notices at once when it cannot.

One Reconstructor per stream; its state is plain integers, so it can be stored with the data it produced.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from edge.protocol.catalogue import DOCUMENT, Catalogue, load
from edge.protocol.checksum import LAST_SIGNAL, state_crc
from edge.protocol.telemetry_pb2 import Telemetry


class Fault(Enum):
    """Why a record cannot be completed."""

    GAP = "a record before it is missing"
    DIVERGED = "the sender's predictor state differs from ours"


class OutOfStepError(Exception):
    """The record cannot be reconstructed; the sender must be asked for a keyframe."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Values:
    """A record's signals: number to value in the signal's unit, and which of them were sent."""

    signals: dict[int, float]
    sent: int
    """Bit n set: signal n was in the message. The others in `signals` are reconstructed."""


@dataclass(slots=True)
class Reconstructor:
    """`catalogue` is None until the first keyframe."""

    catalogue: Catalogue | None = None
    state: dict[int, int] = field(default_factory=dict)

    def apply(self, message: Telemetry) -> Values:
        """The complete record. Call in order of sequence, without gaps, or with a keyframe.

        Raises OutOfStepError when the state after the record is not the sender's; the state is then void.
        """
        if message.keyframe:
            self.catalogue = load(message.catalogue)
            self.state = {}
        elif self.catalogue is None:
            raise OutOfStepError(Fault.GAP)
        for number in message.unavailable:
            self.state.pop(number, None)
        values = self._advance(message)
        if state_crc(self.state) != message.state_crc or len(values.signals) != (
            values.sent.bit_count() + message.omitted
        ):
            self.catalogue = None
            raise OutOfStepError(Fault.DIVERGED)
        return values

    def apply_unverified(self, message: Telemetry) -> Values:
        """The same without a stream: nothing can be checked, values are kept as they were sent."""
        if self.catalogue is None:
            self.catalogue = load(message.catalogue or DOCUMENT)
        for number in message.unavailable:
            self.state.pop(number, None)
        return self._advance(message)

    def _advance(self, message: Telemetry) -> Values:
        assert self.catalogue is not None
        state, rules = self.state, self.catalogue.rules
        sent, started = 0, False
        signals = {n: rules[n].predictor.predict(s) / rules[n].steps for n, s in state.items()}
        for descriptor, value in message.ListFields():
            number = descriptor.number
            if number < 6:
                continue
            if number > LAST_SIGNAL:
                break
            rule = rules[number]
            sent |= 1 << number
            signals[number] = value
            step = rule.quantise(value)
            known = state.get(number)
            if known is None:
                started = True
                state[number] = rule.predictor.start(step)
            else:
                state[number] = rule.predictor.update(known, step, rule.alpha)
        if started:
            self.state = dict(sorted(state.items()))
        return Values(signals, sent)

    def dump(self) -> dict[str, object]:
        """For storage as JSON; `restore` reads it."""
        return {
            "catalogue": self.catalogue.name if self.catalogue else None,
            "state": {str(number): value for number, value in self.state.items()},
        }

    @classmethod
    def restore(cls, dumped: dict[str, object]) -> Self:
        name, state = dumped.get("catalogue"), dumped.get("state")
        assert isinstance(state, dict)
        numbers = {int(number): int(value) for number, value in state.items()}
        return cls(load(name) if isinstance(name, str) else None, dict(sorted(numbers.items())))
