"""Hours as a fleet's clock shows them: from full hour to full hour, and cut where clocks are changed.

So an hour never lies in two days, nor half in the night; it is shorter than sixty minutes only where a clock is
changed by half an hour.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from fleet.aggregation.days import bounds, day_of

_HOUR, _QUARTER = timedelta(hours=1), timedelta(minutes=15)


@lru_cache(16_384)
def cuts(zone: str, day: date) -> tuple[datetime, ...]:
    """The first moments of a day's hours, UTC, and of the next day. Empty: the zone left this day out."""
    here = ZoneInfo(zone)
    place, closes = bounds(zone, day)
    found = []
    while place < closes:
        found.append(place)
        local = place.astimezone(here)
        since = timedelta(minutes=local.minute, seconds=local.second)
        place = min(_changed(here, place, place + _HOUR - since), closes)
    return (*found, closes) if found else ()


def _changed(here: ZoneInfo, opens: datetime, closes: datetime) -> datetime:
    """When clocks are changed in between; else the end."""
    offset = opens.astimezone(here).utcoffset()
    if closes.astimezone(here).utcoffset() == offset:
        return closes
    place = opens + _QUARTER
    while place < closes and place.astimezone(here).utcoffset() == offset:
        place += _QUARTER
    return min(place, closes)


def hours_of(zone: str, day: date) -> list[tuple[datetime, datetime]]:
    """[first moment, first moment of the next hour) of each, UTC."""
    return list(pairwise(cuts(zone, day)))


def hour_of(zone: str, moment: datetime) -> tuple[datetime, datetime]:
    """The hour in which a moment lies."""
    found = cuts(zone, day_of(zone, moment))
    place = bisect_right(found, moment)
    return found[place - 1], found[place]


def next_full(moment: datetime) -> datetime:
    """The first full hour of UTC not before it."""
    floor = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return floor if floor == moment else floor + _HOUR
