"""The last hour of a vehicle's signals, each value known as sent or reconstructed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse

from edge.protocol.signals import BY_NAME
from fleet.access import vehicle_or_404
from fleet.pages.session import part
from telemetry.models import Quality
from telemetry.pages.period import end_of_period, json, rows_between
from telemetry.pages.thinning import Sample, line, silence_after, thin

PERIOD = timedelta(hours=1)
SIGNAL_LIMIT = 8
_HEAD = 3
"""time, sent and quality come before the signals in each row."""


@part
def charts(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    """`signals`: names with commas between. Columns per signal, and when records were incomplete."""
    found = vehicle_or_404(request.user, fleet, vehicle)
    asked = request.GET.get("signals", "speed,battery,power").split(",")
    signals = [BY_NAME[name] for name in dict.fromkeys(asked) if name in BY_NAME][:SIGNAL_LIMIT]
    end = end_of_period(request)
    columns = ("sent", "quality", *(signal.column for signal in signals))
    rows = rows_between(found, end - PERIOD, end, columns)
    times = [row[0].timestamp() for row in rows]
    silence = silence_after(times)
    lines = {}
    for place, signal in enumerate(signals, _HEAD):
        samples = [
            Sample(time, row[place], bool(row[1] >> signal.number & 1))
            for time, row in zip(times, rows, strict=True)
        ]
        lines[signal.name] = line(thin(samples), silence)
    content = {
        "begin": (end - PERIOD).timestamp(),
        "end": end.timestamp(),
        "records": len(rows),
        "signals": lines,
        "incomplete": _incomplete(times, rows, silence),
    }
    return json(content)


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
