"""The head of every page: what leads where, for whom, and which of it the reader is at.

A new page is one line here; without one it is still reached from the fleet's own page (fleet/pages/hub.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse

from fleet.access import Principal
from fleet.models import Role


@dataclass(frozen=True, slots=True)
class Place:
    """`around`: beginnings of the names of further pages that belong to it. `role`: the least, anywhere, to see it."""

    title: str
    url_name: str
    around: tuple[str, ...] = ()
    role: Role = Role.DRIVER
    staff: bool = False

    @property
    def address(self) -> str:
        return reverse(self.url_name)

    def has(self, url_name: str) -> bool:
        return url_name == self.url_name or url_name.startswith(self.around or ("\0",))


@dataclass(frozen=True, slots=True)
class Navigation:
    """`more` stands in a menu; `here` is the title of the place the reader is at."""

    first: Sequence[Place]
    more: Sequence[Place]
    here: str

    @property
    def within_more(self) -> bool:
        return any(place.title == self.here for place in self.more)


FIRST: Final = (
    Place("Live map", "live-map"),
    Place("Alerts", "alerts-page", ("alert-page",)),
    Place("Trips", "trips-page", ("trip-page", "stops-page", "charging-page")),
    Place("Drivers", "drivers", ("driver-", "assignment")),
    Place("Leaderboard", "leaderboard"),
    Place("Statistics", "statistics"),
    Place("Reports", "reports", ("report", "fleet-report", "export")),
)
MORE: Final = (
    Place("Driving events", "driving-events", ("driving-event",)),
    Place("Devices", "devices-page", ("device", "registration")),
    Place("Commands", "commands", role=Role.VIEWER),
    Place("Releases", "releases", ("release",), Role.MANAGER),
    Place("Scenarios", "scenarios", ("scenario",)),
    Place("Fleet", "fleets"),
    Place("Admin", "admin:index", staff=True),
)


def navigation_for(user: Any, principal: Principal, url_name: str, path: str) -> Navigation:
    first, more = ([p for p in places if _sees(user, principal, p)] for places in (FIRST, MORE))
    here = next((place.title for place in (*first, *more) if place.has(url_name)), "")
    # What belongs to a fleet and to no place above.
    return Navigation(first, more, here or ("Fleet" if path.startswith("/fleets/") else ""))


def _sees(user: Any, principal: Principal, place: Place) -> bool:
    if place.staff:
        return bool(user.is_staff)
    if place.role is Role.DRIVER or principal.sees_everything:
        return True
    return any(principal.can(place.role, fleet) for fleet in principal.roles or ())
