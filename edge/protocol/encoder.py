"""The sending side: turns readings into records, leaving out what the receiver can reconstruct."""

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.protocol.catalogue import DEFAULT, Catalogue, load
from edge.protocol.checksum import content_crc, state_crc
from edge.protocol.signals import BY_NAME
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
        readings: Mapping[str, float],
        extra: Mapping[str, float] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Telemetry:
        """The next record of the stream. `readings`: signal name to value in the signal's unit.

        A reading that is absent or not finite counts as "the sensor gave nothing".
        """
        self.sequence += 1
        keyframe = self._keyframe_due or (self.sequence - 1) % self.keyframe_every == 0
        self._keyframe_due = False
        message = Telemetry(
            vin=self.vin,
            timestamp=timestamp,
            stream_id=self.stream_id,
            sequence=self.sequence,
            keyframe=keyframe,
        )
        values = {BY_NAME[name].number: value for name, value in readings.items() if math.isfinite(value)}
        if keyframe:
            message.catalogue = self.catalogue.name
            self.state = {}
        gone = [number for number in self.state if number not in values]
        for number in gone:
            del self.state[number]
        message.unavailable.extend(gone)
        message.omitted = self._write_signals(message, values)
        message.extra.update({k: v for k, v in (extra or {}).items() if math.isfinite(v)})
        message.labels.update(labels or {})
        message.state_crc = state_crc(self.state)
        message.content_crc = content_crc(message, self.vin, self.stream_id)
        return message

    def _write_signals(self, message: Telemetry, values: Mapping[int, float]) -> int:
        """Set what must be sent, advance the state as the receiver will; answers how many were omitted."""
        omitted = 0
        state, rules = self.state, self.catalogue.rules
        for number in sorted(values):
            rule, value = rules[number], values[number]
            known = state.get(number)
            if known is not None and rule.within(value, known):
                omitted += 1
                continue
            step = rule.quantise(value)
            setattr(message, _NAMES[number], step / rule.steps)
            state[number] = (
                rule.predictor.start(step)
                if known is None
                else rule.predictor.update(known, step, rule.alpha)
            )
        if list(state) != sorted(state):
            self.state = dict(sorted(state.items()))
        return omitted


_NAMES = {signal.number: signal.name for signal in BY_NAME.values()}
