"""What every page shows: the reader's fleets, ages, numbers beside their units."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone

from fleet.access import principal_of, visible_fleets
from fleet.models import Fleet, Motion, Role
from fleet.models.people import known_zones
from fleet.notifications import UNREAD_SHOWN, unread_count
from fleet.readings import text_of

register = template.Library()


@register.simple_tag
def fleets_of(user: Any) -> list[Fleet]:
    """The first few of the reader's fleets, for the head of the page; `unread` of each is the reader's own count.

    One query for both, once a request: who belongs to no fleet has nothing to be told.
    """
    if not hasattr(user, "fleets_shown"):
        fleets = visible_fleets(user).annotate(unread=unread_count(principal_of(user)))
        user.fleets_shown = list(fleets.order_by("name")[:4])
    shown: list[Fleet] = user.fleets_shown
    return shown


@register.filter
def capped(unread: int | None) -> str:
    """`{{ 250|capped }}`: 99+; nothing for none."""
    return f"{UNREAD_SHOWN}+" if unread and unread > UNREAD_SHOWN else str(unread or "")


@register.simple_tag
def time_zones() -> list[str]:
    """To choose from; the database of zones knows further names, which are taken too."""
    return sorted(zone for zone in known_zones() if "/" in zone or zone == "UTC")


@register.simple_tag
def withheld_from(user: Any) -> list[Fleet]:
    """Fleets that the reader sees only after setting up a second factor."""
    withheld = principal_of(user).withheld
    return list(Fleet.objects.filter(pk__in=withheld).order_by("name")) if withheld else []


@register.simple_tag
def watches(user: Any) -> bool:
    """Is the reader more than a driver anywhere? Drivers find no commands."""
    principal = principal_of(user)
    return principal.sees_everything or any(principal.can(Role.VIEWER, fleet) for fleet in principal.roles)


@register.simple_tag
def manages(user: Any) -> bool:
    """Is the reader a manager or owner anywhere, or staff? Costs nothing after fleets_of."""
    principal = principal_of(user)
    return principal.sees_everything or any(principal.can(Role.MANAGER, fleet) for fleet in principal.roles)


@register.filter
def reading(value: Any, name: str) -> str:
    """`{{ 88.4|reading:"battery" }}`; nothing known is a dash."""
    return "–" if value in (None, "") else text_of(name, value)


@register.filter
def motion_label(motion: str) -> str:
    return str(Motion(motion).label).capitalize()


@register.filter
def ago(moment: datetime | None) -> str:
    """The same words as ago() in static/js/live.js, which keeps them up to date."""
    if not moment:
        return "never"
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now" if seconds < 5 else f"{seconds} s ago"


@register.filter
def unix(moment: datetime | None) -> str:
    return "" if not moment else f"{moment.timestamp():.3f}"


_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


@register.filter
def browser(agent: str) -> str:
    """What a User-Agent most likely means: "Firefox on Windows"."""
    name = next((name for sign, name in _BROWSERS if sign in agent), "A browser")
    system = next((name for sign, name in _SYSTEMS if sign in agent), "")
    return f"{name} on {system}" if system else name


@register.filter
def clock(seconds: float) -> str:
    """`{{ 75.4|clock }}`: 1:15.4."""
    minutes, rest = divmod(max(0.0, round(seconds, 1)), 60)
    return f"{int(minutes)}:{rest:04.1f}"
