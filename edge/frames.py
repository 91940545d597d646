"""What moves from the reader through the spool to the sender, one frozen type per stage."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stream:
    stream_id: int
    vin: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One record, serialised without VIN and stream id: the batch carries those."""

    sequence: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """Where the source stands after the frames of a `put`; content is the source's own business."""

    source: str
    content: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Batch:
    """The oldest frames, all of one stream. `first` and `last` are queue numbers: the batch's receipt."""

    stream: Stream
    first: int
    last: int
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the server will never take a record."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    stream: Stream
    frame: Frame
    refusal: Refusal
    at: float
