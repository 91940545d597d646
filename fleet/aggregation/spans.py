"""What statistics are asked about: whole days, or the newest hours."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fleet.aggregation.days import Period, day_of, starts
from fleet.aggregation.hours import hour_of


@dataclass(frozen=True, slots=True)
class Window:
    """Whole hours of a zone: [opens, closes), UTC."""

    opens: datetime
    closes: datetime
    zone: str
    hours: int
    """As asked for; fewer where a clock was put back by half an hour."""

    @classmethod
    def newest(cls, hours: int, zone: str, now: datetime) -> "Window":
        """The present hour is the last of them."""
        return cls(hour_of(zone, now - timedelta(hours=hours - 1))[0], hour_of(zone, now)[1], zone, hours)

    @property
    def first(self) -> date:
        return day_of(self.zone, self.opens)

    @property
    def last(self) -> date:
        return day_of(self.zone, self.closes - timedelta(microseconds=1))

    @property
    def days(self) -> int:
        """That it has a share of."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "Window":
        """As many hours just before."""
        opens = hour_of(self.zone, self.opens - timedelta(hours=self.hours))[0]
        return Window(opens, self.opens, self.zone, self.hours)


Span = Period | Window


def moments(span: Span) -> tuple[datetime, datetime]:
    """[first, one after the last), UTC."""
    if isinstance(span, Window):
        return span.opens, span.closes
    return starts(span.zone, span.first), starts(span.zone, span.last + timedelta(days=1))


def whole_days(span: Span) -> Period:
    return span if isinstance(span, Period) else Period(span.first, span.last, span.zone)
