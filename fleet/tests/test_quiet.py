"""Quiet hours by the wall clock: in every zone, across midnight and the changes of the clocks."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.notifying.quiet import quiet_until

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "begin", "end", "until"),
    [
        ("2026-06-10T23:30+02:00", "22:00", "07:00", "2026-06-11T07:00+02:00"),
        ("2026-06-11T06:59:59+02:00", "22:00", "07:00", "2026-06-11T07:00+02:00"),
        ("2026-06-11T07:00+02:00", "22:00", "07:00", None),
        ("2026-06-11T21:59:59+02:00", "22:00", "07:00", None),
        ("2026-06-11T13:00+02:00", "12:00", "14:00", "2026-06-11T14:00+02:00"),
        ("2026-06-11T14:00+02:00", "12:00", "14:00", None),
        # The night of 29 March has no 02:00 to 03:00: one hour less to wait.
        ("2026-03-28T22:00+01:00", "22:00", "07:00", "2026-03-29T07:00+02:00"),
        # An end the clocks leave out.
        ("2026-03-29T01:00+01:00", "22:00", "02:30", "2026-03-29T03:30+02:00"),
        # The night of 25 October has 02:00 to 03:00 twice.
        ("2026-10-24T22:00+02:00", "22:00", "07:00", "2026-10-25T07:00+01:00"),
        ("2026-10-25T02:15+02:00", "02:00", "02:30", "2026-10-25T02:30+01:00"),
    ],
)
def test_in_berlin(now: str, begin: str, end: str, until: str | None) -> None:
    found = quiet_until(at(now), BERLIN, time.fromisoformat(begin), time.fromisoformat(end))
    assert found == (until and at(until))


@settings(max_examples=200, deadline=None)
@given(
    minute=st.integers(0, 3 * 365 * 24 * 60),
    zone=st.sampled_from(ZONES),
    begin=st.integers(0, 24 * 60 - 1),
    length=st.integers(1, 24 * 60 - 1),
)
def test_it_is_what_the_clock_on_the_wall_says(minute: int, zone: str, begin: int, length: int) -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    wall = ZoneInfo(zone)
    first, last = _time(begin), _time((begin + length) % (24 * 60))
    until = quiet_until(now, wall, first, last)
    if _settled(now, wall):
        shown = now.astimezone(wall).time()
        inside = first <= shown < last if first < last else shown >= first or shown < last
        assert (until is not None) == inside
    if until is not None:
        assert now < until <= now + timedelta(hours=26)
        assert quiet_until(until, wall, first, last) is None
        if _settled(until, wall):
            assert until.astimezone(wall).time() == last


def _time(minute: int) -> time:
    return time(minute // 60, minute % 60)


def _settled(moment: datetime, zone: ZoneInfo) -> bool:
    """No change of the clocks within a day of it."""
    offsets = {(moment + timedelta(hours=hours)).astimezone(zone).utcoffset() for hours in range(-25, 26)}
    return len(offsets) == 1
