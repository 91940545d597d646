"""Days as a fleet counts them: from midnight to midnight in its time zone, 23 to 25 hours long."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)
LONGEST_DAYS = 731
"""Of a period that statistics answer for: two years."""


@lru_cache(16_384)
def starts(zone: str, day: date) -> datetime:
    """The first moment of a day, UTC. A midnight that a clock change leaves out is the moment of the change."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def bounds(zone: str, day: date) -> tuple[datetime, datetime]:
    """[first moment, first moment of the next day), UTC."""
    return starts(zone, day), starts(zone, day + ONE_DAY)


Night = tuple[int, int]
"""The hours at which it begins and ends; the same hour twice: there is none."""
NO_NIGHT: Night = (0, 0)


@lru_cache(16_384)
def nights(zone: str, day: date, night: Night) -> tuple[tuple[datetime, datetime], ...]:
    """The parts of a day that are night, UTC: one, or two when it goes on over midnight."""
    begins, ends = (datetime.combine(day, time(hour), ZoneInfo(zone)).astimezone(UTC) for hour in night)
    if night[0] < night[1]:
        return ((begins, ends),)
    opens, closes = bounds(zone, day)
    return ((opens, ends), (begins, closes)) if night[0] > night[1] else ()


def day_of(zone: str, moment: datetime) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def days_between(first: date, last: date) -> Iterator[date]:
    """Both included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


@lru_cache(16_384)
def touching(zone: str, utc_day: date) -> tuple[date, ...]:
    """The zone's days that share a moment with this day of UTC; two of them, or one."""
    first, last = bounds("UTC", utc_day)
    return tuple(days_between(day_of(zone, first), day_of(zone, last - timedelta(microseconds=1))))


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days of a zone, `first` and `last` included."""

    first: date
    last: date
    zone: str

    @classmethod
    def newest(cls, days: int, zone: str, now: datetime) -> "Period":
        """So many days, today the last of them."""
        today = day_of(zone, now)
        return cls(today - timedelta(days=days - 1), today, zone)

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "Period":
        """As many days just before."""
        return Period(self.first - timedelta(days=self.days), self.first - ONE_DAY, self.zone)

    def __iter__(self) -> Iterator[date]:
        return days_between(self.first, self.last)


def month_of(day: date) -> date:
    """Its first day."""
    return day.replace(day=1)


def month_after(month: date) -> date:
    return month_of(month + timedelta(days=31))
