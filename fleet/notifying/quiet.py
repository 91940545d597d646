"""Quiet hours: by the wall clock of a person's time zone, across midnight, right when the clocks change."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def quiet_until(now: datetime, zone: ZoneInfo, begin: time, end: time) -> datetime | None:
    """When the quiet hours that hold at `now` are over (UTC); None: they do not hold.

    A time that the clocks show twice in autumn begins them the first time and ends them the second; one that they
    leave out in spring counts as if they had not been changed yet.
    """
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        last = day if begin < end else day + timedelta(days=1)
        starts = datetime.combine(day, begin, zone).astimezone(UTC)
        ends = datetime.combine(last, end, zone).replace(fold=1)
        over = ends.astimezone(UTC)
        if _left_out(ends):  # fold=1 would read it with the changed clock, and so before the jump
            over = ends.replace(fold=0).astimezone(UTC)
        if starts <= now < over:
            return over
    return None


def _left_out(local: datetime) -> bool:
    """Does the wall clock never show this?"""
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return back.replace(tzinfo=None) != local.replace(tzinfo=None, fold=back.fold)
