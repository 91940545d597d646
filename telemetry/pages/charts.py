"""An hour of a vehicle's signals, or less of it, each value known as sent or reconstructed."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse

from edge.protocol.checks import MAX_TEXT
from edge.protocol.signals import BY_NAME
from fleet.access import vehicle_or_404
from fleet.models import VehicleState
from fleet.pages.session import part
from telemetry.furthersql import column_of
from telemetry.models import Quality
from telemetry.pages.period import end_of_period, json, rows_between
from telemetry.pages.thinning import Sample, line, silence_after, thin

PERIOD = timedelta(hours=1)
SIGNAL_LIMIT = 8
_HEAD = 3
"""time, sent and quality come before the signals in each row."""


@part
def charts(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    """`signals`: names, also of further values, with commas between. `seconds` up to `end`, at most an hour. Columns of
    each; when records were incomplete."""
    found = vehicle_or_404(request.user, fleet, vehicle)
    asked = request.GET.get("signals", "speed,battery,power").split(",")
    names = [name for name in dict.fromkeys(asked) if 0 < len(name) <= MAX_TEXT and "\0" not in name][
        :SIGNAL_LIMIT
    ]
    end, period = end_of_period(request), _period(request)
    columns = ("sent", "quality", *map(column_of, names))
    rows = rows_between(found, end - period, end, columns)
    times = [row[0].timestamp() for row in rows]
    silence = silence_after(times)
    lines = {}
    state: VehicleState | None = getattr(found, "state", None)
    known = (state.further if state else None) or {}
    for place, name in enumerate(names, _HEAD):
        samples = list(_samples(name, times, [(row[1], row[place]) for row in rows]))
        if samples or name in BY_NAME or name in known:
            lines[name] = line(thin(samples), silence)
    content = {
        "begin": (end - period).timestamp(),
        "end": end.timestamp(),
        "records": len(rows),
        "signals": lines,
        "incomplete": _incomplete(times, rows, silence),
    }
    return json(content)


def _period(request: HttpRequest) -> timedelta:
    asked = request.GET.get("seconds", "")
    return (
        min(PERIOD, timedelta(seconds=int(asked)))
        if asked.isascii() and asked.isdigit() and len(asked) < 5
        else PERIOD
    )


def _samples(name: str, times: Sequence[float], cells: Sequence[tuple[int, Any]]) -> Iterator[Sample]:
    """A further value was sent wherever it stands; a record without it says nothing about it."""
    signal = BY_NAME.get(name)
    for time, (sent, value) in zip(times, cells, strict=True):
        if signal is not None:
            yield Sample(time, value, bool(sent >> signal.number & 1))
        elif value is not None:
            yield Sample(time, value, True)


def _incomplete(times: Sequence[float], rows: Sequence[tuple[Any, ...]], silence: float) -> list[list[float]]:
    """From when to when records could not be reconstructed completely."""
    spans: list[list[float]] = []
    for place, (time, row) in enumerate(zip(times, rows, strict=True)):
        if row[2] != Quality.INCOMPLETE:
            continue
        after = place > 0 and rows[place - 1][2] == Quality.INCOMPLETE and time - times[place - 1] <= silence
        if spans and after:
            spans[-1][1] = time
        else:
            spans.append([time, time])
    return spans
