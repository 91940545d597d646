"""Reconstruction of one stream: pure functions from decoder state and records to history and new state."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from edge.protocol.content import signals_of
from edge.protocol.reconstructor import OutOfStepError, Reconstructor, Values
from edge.protocol.telemetry_pb2 import Telemetry
from telemetry.frames import Pending, Record
from telemetry.models import Quality


@dataclass(slots=True)
class Segment:
    """A run of sequences that can be decoded in order from one known state.

    A stream is its head (last is None) plus one segment per unfilled gap behind it.
    """

    next: int
    decoder: Reconstructor
    last: int | None = None
    lost: bool = False
    """The head lost its place; cleared by a keyframe or by the missing record."""

    @property
    def complete(self) -> bool:
        return self.last is not None and self.next > self.last


@dataclass(slots=True)
class Work:
    """What a drain must write for one stream."""

    records: list[Record] = field(default_factory=list)
    completed: list[Pending] = field(default_factory=list)
    """Held records that could be decoded at last: their incomplete rows are replaced."""
    held: list[Pending] = field(default_factory=list)
    """Stored incomplete just now; kept for the missing one."""
    waiting: list[Pending] = field(default_factory=list)
    opened: list[Segment] = field(default_factory=list)
    omitted: dict[int, int] = field(default_factory=dict)
    """Sequence to the number of signals its message left out."""
    repeated: int = 0


def advance(segment: Segment, frames: Iterable[Pending], overdue_us: int, work: Work) -> None:
    """Decode what can be decoded. `frames` in order of sequence, those held before included.

    A record behind a gap waits until it was received before `overdue_us`, then it is stored with what was
    sent; a keyframe is taken at once and leaves the gap behind as a segment of its own.
    """
    for frame in frames:
        if frame.sequence < segment.next:
            work.repeated += not frame.held
            continue
        message = Telemetry.FromString(frame.payload)
        work.omitted[frame.sequence] = message.omitted
        if frame.sequence > segment.next:
            if not message.keyframe:
                _blocked(segment, frame, message, overdue_us, work)
                continue
            work.opened.append(Segment(segment.next, segment.decoder, frame.sequence - 1))
            segment.decoder = Reconstructor()
        segment.next = frame.sequence + 1
        try:
            values = segment.decoder.apply(message)
        except OutOfStepError:
            segment.lost = True
            if not frame.held:
                work.records.append(record_of(frame, message, sent_only(message), Quality.INCOMPLETE))
            continue
        segment.lost = False
        work.records.append(record_of(frame, message, values, Quality.VERIFIED))
        if frame.held:
            work.completed.append(frame)


def _blocked(segment: Segment, frame: Pending, message: Telemetry, overdue_us: int, work: Work) -> None:
    segment.lost = True
    if frame.held:
        return
    if frame.received_us > overdue_us:
        work.waiting.append(frame)
        return
    work.records.append(record_of(frame, message, sent_only(message), Quality.INCOMPLETE))
    work.held.append(frame)


def sent_only(message: Telemetry) -> Values:
    """What is certain about a record whose predictor state is unknown."""
    present, values = signals_of(message)
    return Values(dict(zip(present.numbers, values, strict=True)), present.mask)


def replay(
    decoder: Reconstructor, frames: Sequence[Pending], tail: Iterable[tuple[Pending, Record]]
) -> tuple[list[Record], list[tuple[Record, int]], Reconstructor | None]:
    """Records without a stream, in order of time: new ones; those of `tail` that they change, each with how
    many values more it has now; and the state after the newest, None when that did not change.

    `decoder` is the state before the first of them; `tail` is what was stored after it, in order, and is
    read only until the states agree again.
    """
    new: list[Record] = []
    changed: list[tuple[Record, int]] = []
    unseen: Iterator[tuple[Pending, Record | None]] = ((frame, None) for frame in sorted(frames, key=_moment))
    for frame, before in heapq.merge(unseen, tail, key=lambda pair: _moment(pair[0])):
        message = Telemetry.FromString(frame.payload)
        values = decoder.apply_unverified(message)
        record = record_of(frame, message, values, Quality.UNVERIFIED)
        record = record._replace(decoder=decoder.dump() | _told(message))
        if before is None:
            new.append(record)
        elif (before.signals, before.decoder) != (record.signals, record.decoder):
            after = before._replace(signals=record.signals, decoder=record.decoder)
            changed.append((after, len(after.signals) - len(before.signals)))
        elif len(new) == len(frames):
            return new, changed, None
    return new, changed, decoder


def _moment(frame: Pending) -> tuple[int, int]:
    return frame.time_us, frame.sequence


def _told(message: Telemetry) -> dict[str, object]:
    """What an unverified message said to the predictor itself; needed to replay it."""
    told: dict[str, object] = {}
    if message.keyframe:
        told["keyframe"] = True
    if message.catalogue:
        told["named"] = message.catalogue
    if message.unavailable:
        told["unavailable"] = list(message.unavailable)
    return told


def record_of(frame: Pending, message: Telemetry, values: Values, quality: Quality) -> Record:
    extra = {**message.extra, **message.labels} if message.extra or message.labels else None
    return Record(
        frame.vehicle_id,
        frame.device_id,
        frame.time_us,
        frame.received_us,
        frame.stream_id,
        frame.sequence,
        quality.value,
        values.sent,
        values.signals,
        extra,
    )
