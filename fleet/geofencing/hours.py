"""Hours of the week by the wall clock of a time zone: on these days, from then to then, across midnight too."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

LIMIT: Final = 21
"""Entries of one schedule."""
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LINE: Final = re.compile(r"([A-Za-z ,-]+?) +(\d?\d:\d\d) *- *(\d?\d:\d\d)")
Window = tuple[datetime, datetime]


def checked(schedule: Any) -> list[dict[str, Any]]:
    """In its stored form: days in order, times as HH:MM; 24:00 is the midnight after. ValueError says what is wrong."""
    if schedule in (None, ""):
        return []
    if not isinstance(schedule, list) or len(schedule) > LIMIT:
        raise ValueError(f"Send a list of at most {LIMIT} entries.")
    return [_entry(entry, place) for place, entry in enumerate(schedule)]


def _entry(entry: Any, place: int) -> dict[str, Any]:
    where = f"Entry {place + 1}"
    if not isinstance(entry, dict) or set(entry) != {"days", "from", "to"}:
        raise ValueError(f"{where}: send days, from and to.")
    days = entry["days"]
    if (
        not isinstance(days, list)
        or not days
        or any(type(day) is not int or not 1 <= day <= 7 for day in days)
    ):
        raise ValueError(f"{where}: days are numbers from 1 (Monday) to 7 (Sunday).")
    begin, end = (_clock(entry[name], f"{where}, {name}") for name in ("from", "to"))
    if begin in {end, "24:00"}:
        raise ValueError(f"{where}: from and to are the same moment; a whole day is 00:00 to 24:00.")
    return {"days": sorted(set(days)), "from": begin, "to": end}


def _clock(text: Any, where: str) -> str:
    if text == "24:00":
        return "24:00"
    try:
        found = time.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None or found.second or found.microsecond:
        raise ValueError(f"{where}: send HH:MM.")
    return f"{found:%H:%M}"


def windows(schedule: list[dict[str, Any]], zone: str, begin: datetime, end: datetime) -> Iterator[Window]:
    """Stretches of [begin, end] that are in the hours, in order, none touching another; without hours all of it.

    The clocks' change counts: a time shown twice in autumn begins the first and ends the second time.
    """
    if not schedule:
        yield begin, end
        return
    found = sorted(_clipped(schedule, ZoneInfo(zone), begin, end))
    while found:
        first, last = found.pop(0)
        while found and found[0][0] <= last:
            last = max(last, found.pop(0)[1])
        yield first, last


def _clipped(
    schedule: list[dict[str, Any]], zone: ZoneInfo, begin: datetime, end: datetime
) -> Iterator[Window]:
    day, last = begin.astimezone(zone).date() - timedelta(days=1), end.astimezone(zone).date()
    while day <= last:
        for entry in schedule:
            if day.isoweekday() in entry["days"]:
                starts, ends = _bounds(zone.key, day, entry["from"], entry["to"])
                if starts <= end and ends >= begin and starts < ends:
                    yield max(starts, begin), min(ends, end)
        day += timedelta(days=1)


@lru_cache(maxsize=4096)
def _bounds(zone: str, day: date, begin: str, end: str) -> Window:
    tomorrow = day + timedelta(days=1)
    to = (tomorrow, time()) if end == "24:00" else (day if begin < end else tomorrow, time.fromisoformat(end))
    starts = datetime.combine(day, time.fromisoformat(begin), ZoneInfo(zone)).astimezone(UTC)
    ends = datetime.combine(*to, ZoneInfo(zone)).replace(fold=1)
    if ends.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != ends.replace(
        tzinfo=None, fold=0
    ):
        ends = ends.replace(fold=0)  # a time that the clocks leave out in spring
    return starts, ends.astimezone(UTC)


def parsed(text: str) -> list[dict[str, Any]]:
    """As people type it: lines such as `Mon-Fri 22:00-06:00`, `Sat Sun 00:00-24:00`. ValueError names the wrong one."""
    return checked([_typed(line) for line in filter(None, map(str.strip, text.splitlines()))])


def _typed(line: str) -> dict[str, Any]:
    match = _LINE.fullmatch(line.replace("–", "-"))
    if match is None:
        raise ValueError(f"{line[:60]}: write days and hours such as Mon-Fri 22:00-06:00.")
    days: list[int] = []
    for run in match[1].replace(",", " ").split():
        names = [name[:3].title() for name in run.split("-")]
        if len(names) > 2 or any(name not in _DAYS for name in names):
            raise ValueError(f"{run}: days are {', '.join(_DAYS)}.")
        first, last = _DAYS.index(names[0]), _DAYS.index(names[-1])
        days += [day % 7 + 1 for day in range(first, last + 1 + 7 * (last < first))]
    begin, end = (f"{text:0>5}" for text in (match[2], match[3]))
    return {"days": days, "from": begin, "to": end}


def typed(schedule: list[dict[str, Any]]) -> str:
    """As `parsed` reads it."""
    lines = (f"{_days(entry['days'])} {entry['from']}-{entry['to']}" for entry in schedule)
    return "\n".join(lines).replace("–", "-")


def text_of(schedule: list[dict[str, Any]]) -> str:
    """`Mon–Fri 22:00–06:00`; always, without hours."""
    return (
        ", ".join(f"{_days(entry['days'])} {entry['from']}–{entry['to']}" for entry in schedule) or "always"
    )


def _days(days: list[int]) -> str:
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return " ".join(
        _DAYS[run[0] - 1] if len(run) == 1 else f"{_DAYS[run[0] - 1]}–{_DAYS[run[-1] - 1]}" for run in runs
    )
