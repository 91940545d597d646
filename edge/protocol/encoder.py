"""The sending side: turns readings into records, leaving out what the receiver can reconstruct."""

import math
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edge.protocol.catalogue import DEFAULT, Catalogue, load
from edge.protocol.checksum import content_crc, state_crc
from edge.protocol.signals import BY_NAME, BY_NUMBER, Signal
from edge.protocol.telemetry_pb2 import Telemetry

KEYFRAME_EVERY = 100


def new_stream_id() -> int:
    """Random, 1 .. 2^63-1, so that two starts of an edge are never taken for one."""
    return secrets.randbelow(2**63 - 1) + 1


@dataclass(slots=True)
class Encoder:
    """One vehicle's stream. Not thread-safe; keep one for as long as the process lives."""

    vin: str
    catalogue: Catalogue = field(default_factory=lambda: load(DEFAULT))
    keyframe_every: int = KEYFRAME_EVERY
    stream_id: int = field(default_factory=new_stream_id)
    sequence: int = 0
    state: dict[int, int] = field(default_factory=dict)
    _keyframe_due: bool = True

    def request_keyframe(self) -> None:
        """The receiver lost its place: let the next record carry everything."""
        self._keyframe_due = True

    def encode(
        self,
        timestamp: float,
        readings: Mapping[str, float | None],
        extra: Mapping[str, float] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Telemetry:
        """The next record of the stream. `readings`: signal name to value in the signal's unit.

        A reading that is absent, None, not finite or outside the signal's range counts as "the sensor gave
        nothing". An unknown name raises KeyError; the stream then stays where it was.
        """
        values = {signal.number: value for signal, value in _plausible(readings)}
        keyframe = self._keyframe_due or self.sequence % self.keyframe_every == 0
        message = Telemetry(
            vin=self.vin,
            timestamp=timestamp,
            stream_id=self.stream_id,
            sequence=self.sequence + 1,
            keyframe=keyframe,
            extra={name: value for name, value in (extra or {}).items() if math.isfinite(value)},
            labels=labels or {},
        )
        if keyframe:
            message.catalogue = self.catalogue.name
            self.state = {}
        else:
            gone = [number for number in self.state if number not in values]
            self.state = {number: state for number, state in self.state.items() if number in values}
            message.unavailable.extend(gone)
        message.omitted = self._write_signals(message, values)
        message.state_crc = state_crc(self.state)
        message.content_crc = content_crc(message, self.vin, self.stream_id)
        self.sequence += 1
        self._keyframe_due = False
        return message

    def _write_signals(self, message: Telemetry, values: Mapping[int, float]) -> int:
        """Set what must be sent, advance the state as the receiver will; answers how many were omitted."""
        state, rules, known_before = self.state, self.catalogue.rules, len(self.state)
        omitted = 0
        for number, value in values.items():
            rule, known = rules[number], state.get(number)
            if known is not None and rule.within(value, known):
                omitted += 1
                continue
            step = rule.quantise(value)
            setattr(message, BY_NUMBER[number].name, step / rule.steps)
            state[number] = rule.moved(known, step)
        if len(state) != known_before:
            self.state = dict(sorted(state.items()))
        return omitted


def _plausible(readings: Mapping[str, float | None]) -> Iterator[tuple[Signal, float]]:
    for name, value in readings.items():
        signal = BY_NAME[name]
        if value is not None and signal.low <= value <= signal.high:  # False for NaN
            yield signal, value
