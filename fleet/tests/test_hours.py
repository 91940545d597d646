"""Hours of the week: as people type them, and by the wall clock, also when the clocks change."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fleet.geofencing.hours import checked, parsed, text_of, typed, windows

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def found(schedule: str, begin: str, end: str) -> list[tuple[str, str]]:
    cut = windows(parsed(schedule), BERLIN, utc(begin), utc(end))
    return [(f"{first:%d %H:%M}", f"{last:%d %H:%M}") for first, last in cut]


def test_nights_across_midnight() -> None:
    assert found("Mon-Fri 22:00-06:00", "2026-11-20 12:00", "2026-11-24 00:00") == [
        ("20 21:00", "21 05:00"), ("23 21:00", "24 00:00"),
    ]  # fmt: skip


def test_parts_that_touch_are_one_and_none_is_always() -> None:
    assert found("Mon-Sun 00:00-24:00", "2026-11-20 12:00", "2026-11-24 00:00") == [("20 12:00", "24 00:00")]
    assert found("", "2026-11-20 12:00", "2026-11-24 00:00") == [("20 12:00", "24 00:00")]
    assert found("Mon 08:00-12:00\nMon 10:00-14:00", "2026-11-23 00:00", "2026-11-23 23:00") == [
        ("23 07:00", "23 13:00")
    ]


def test_the_clocks_change() -> None:
    # 29 March 2026 has no 02:30, 25 October has it twice.
    assert found("Sun 02:30-04:00", "2026-03-28 12:00", "2026-03-29 12:00") == [("29 01:30", "29 02:00")]
    assert found("Sun 01:00-02:30", "2026-03-28 12:00", "2026-03-29 12:00") == [("29 00:00", "29 01:30")]
    assert found("Sun 02:30-04:00", "2026-10-24 12:00", "2026-10-25 12:00") == [("25 00:30", "25 03:00")]
    assert found("Sun 01:00-02:30", "2026-10-24 12:00", "2026-10-25 12:00") == [("24 23:00", "25 01:30")]


def test_a_moment_at_the_edge_counts() -> None:
    assert found("Mon 08:00-12:00", "2026-11-23 07:00", "2026-11-23 07:00") == [("23 07:00", "23 07:00")]
    assert found("Mon 08:00-12:00", "2026-11-23 06:59", "2026-11-23 06:59") == []


def test_as_typed() -> None:
    told = parsed("mon-fri 8:00-17:30\n sat, sun  00:00 - 24:00\n\nFri-Mon 22:00–06:00")
    assert [entry["days"] for entry in told] == [[1, 2, 3, 4, 5], [6, 7], [1, 5, 6, 7]]
    assert told[0]["from"] == "08:00" and told[1]["to"] == "24:00"
    assert parsed(typed(told)) == told
    assert text_of(told[:1]) == "Mon–Fri 08:00–17:30" and text_of([]) == "always"


@pytest.mark.parametrize(
    "text", ["always", "Mon 8-17", "Moon 08:00-17:00", "Mon 25:00-26:00", "Mon 08:00-08:00"]
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parsed(text)


@pytest.mark.parametrize(
    "schedule",
    [
        {}, [3], [{}], [{"days": [], "from": "08:00", "to": "09:00"}], [{"days": [8], "from": "08:00", "to": "09:00"}],
        [{"days": [True], "from": "08:00", "to": "09:00"}], [{"days": [1], "from": "24:00", "to": "09:00"}],
        [{"days": [1], "from": 8, "to": "09:00"}], [{"days": [1], "from": "08:00:30", "to": "09:00"}],
        [{"days": [1], "from": "08:00", "to": "09:00"}] * 22,
    ],
)  # fmt: skip
def test_what_is_no_schedule(schedule: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        checked(schedule)
