"""JSON that was not written for our protocol becomes Telemetry messages: named numbers and words, nested or not.

What makes a record one (its time, whose it is) must be right, or nothing of it is kept. A single odd reading is left
out and reported, because the others are still true.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from django.conf import settings

from edge.protocol.catalogue import DEFAULT
from edge.protocol.checks import MAX_TEXT, BadRecordError, check
from edge.protocol.content import signals_of
from edge.protocol.signals import BY_NAME
from edge.protocol.telemetry_pb2 import Telemetry
from edge.protocol.text import MAX_DEPTH
from fleet.access import Principal
from fleet.api.moments import moment_of
from fleet.jsontext import not_json
from telemetry.frames import Arrival, Delivery, Rejection
from telemetry.transports.body import RefusedError, fingerprint

_LISTS: Final = ("readings", "records", "data", "batch")
ABOUT: Final = frozenset({"timestamp", "device_id", "deviceId", "sensor_id", "source", "type"})
"""What may stand beside readings without being one."""
SWITCHES: Final = frozenset({"ignition", "charging"})


class UnusableError(Exception):
    """Nothing of a record can be kept: (field, reason) of everything that is wrong with it, and HTTP's status."""

    def __init__(self, *wrong: tuple[str, str], status: int = 400) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.status = status


@dataclass(slots=True)
class Gathered:
    """A message on its way to be complete."""

    # What such a sender leaves out stays as it was: it does not run our predictor.
    message: Telemetry = field(default_factory=lambda: Telemetry(catalogue=DEFAULT))
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Path and reason of each reading that was not kept."""

    def put(self, path: str, name: str, value: Any, signal: str | None) -> None:
        """A reading: as a signal where it is one, else as a further number or word under its own name."""
        try:
            if signal is not None:
                setattr(self.message, signal, _in_range(signal, value))
            elif len(name) > MAX_TEXT or "\0" in name:
                raise ValueError(f"the name is longer than {MAX_TEXT} characters or contains U+0000")
            elif isinstance(value, bool | int | float):
                self.message.extra[name] = float(value)
            else:
                self.message.labels[name] = _words(value)
        except (ValueError, OverflowError) as error:
            self.left_out.append((path[:200].replace("\0", "?"), str(error)[:200]))

    def drop_half_positions(self, path: str) -> None:
        """A latitude with an older longitude would be a place where the vehicle never was."""
        message = self.message
        for have, lack in (("latitude", "longitude"), ("longitude", "latitude")):
            if message.HasField(have) and not message.HasField(lack):
                message.ClearField(have)
                self.left_out.append((path, f"a position needs both halves: the {lack} is missing or odd"))

    @property
    def empty(self) -> bool:
        return not (self.message.extra or self.message.labels or signals_of(self.message)[1])


def _in_range(signal: str, value: Any) -> float:
    known = BY_NAME[signal]
    if isinstance(value, bool) and signal not in SWITCHES:
        raise ValueError("true and false are no measurements")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{str(value)[:40]!r} is not a number") from None
    if not known.low <= number <= known.high:  # also NaN
        raise ValueError(f"{number:g} is outside {known.low:g} to {known.high:g} {known.unit}")
    return number


def _words(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if "\0" in text:
        raise ValueError("the text contains the character U+0000")
    return text[:MAX_TEXT]


def leaves(content: dict[str, Any], depth: int = 1) -> Iterator[tuple[str, Any]]:
    """Every value with its dotted name; what is null was not measured."""
    if depth > MAX_DEPTH:
        raise UnusableError(("", f"nested more than {MAX_DEPTH} deep"))
    for key, value in content.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", leaf) for name, leaf in leaves(value, depth + 1))
        elif value is not None:
            yield key, value


def timestamp_of(value: Any) -> float:
    if value is None:
        raise UnusableError(("timestamp", "is missing: send ISO 8601 or Unix seconds"))
    try:
        return moment_of(value).timestamp()
    except ValueError as error:
        raise UnusableError(("timestamp", str(error))) from None


def documents_in(body: bytes) -> tuple[list[Any], bool]:
    """The objects of a body, and whether it was a list."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, not_json(body, error)) from error
    if isinstance(content, dict):
        content = _unwrapped(content)
    documents = content if isinstance(content, list) else [content]
    if not documents:
        raise RefusedError(400, "The list is empty: send at least one record.")
    if len(documents) > settings.TELEMETRY_BATCH_LIMIT:
        limit = settings.TELEMETRY_BATCH_LIMIT
        raise RefusedError(413, f"{len(documents)} records in one body: send at most {limit}.")
    return documents, isinstance(content, list)


def _unwrapped(content: dict[str, Any]) -> Any:
    """The list of an object that is one in all but form, each of its objects with what stands around the list."""
    for name in _LISTS:
        inner = content.get(name)
        if not isinstance(inner, list) or not all(isinstance(each, dict) for each in inner):
            continue
        around = {key: value for key, value in content.items() if key != name}
        if inner or around.keys() <= ABOUT:
            return [{**around, **each} for each in inner]
    return content


def deliver(
    documents: Sequence[Any], gather: Callable[[Any], Gathered], principal: Principal, now: float
) -> tuple[Delivery, list[Rejection]]:
    """What can be kept, and the single readings that were left out of it."""
    arrivals: list[Arrival] = []
    rejected: list[Rejection] = []
    odd: list[Rejection] = []
    transmitted = 0
    for index, document in enumerate(documents):
        try:
            if not isinstance(document, dict):
                raise UnusableError(("", "a record must be a JSON object"))
            found = gather(document)
            if found.empty:
                raise UnusableError(*(found.left_out or [("", "holds no reading")]))
            arrivals.append(_arrival(found.message, principal, now))
        except UnusableError as error:
            rejected += [Rejection(index, name, reason, error.status) for name, reason in error.wrong]
        except BadRecordError as bad:
            rejected.append(Rejection(index, bad.field, bad.reason))
        else:
            transmitted += signals_of(found.message)[0].mask.bit_count()
            odd += [Rejection(index, name, reason) for name, reason in found.left_out]
    return Delivery(arrivals, rejected, transmitted), odd


def _arrival(message: Telemetry, principal: Principal, now: float) -> Arrival:
    assert principal.device_id is not None and principal.vehicle_id is not None
    check(message, "", 0, now)
    sequence = fingerprint(message)
    # These senders leave out what they did not measure: nothing may be filled in from an earlier record.
    message.keyframe = True
    return Arrival(
        principal.device_id,
        principal.vehicle_id,
        0,
        sequence,
        int(message.timestamp * 1e6 + 0.5),
        int(now * 1e6),
        message.SerializeToString(),
        False,
    )
