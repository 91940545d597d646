"""What every page shows: the reader's fleets, ages, numbers beside their units."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone

from fleet.access import principal_of, visible_fleets
from fleet.behaviour.driving import G
from fleet.models import Fleet, Motion
from fleet.models.people import known_zones
from fleet.notifying.notifications import UNREAD_SHOWN, unread_count
from fleet.pages.navigation import Navigation, navigation_for
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


@register.simple_tag(takes_context=True)
def navigation(context: dict[str, Any]) -> Navigation:
    """For the head of the page. Costs nothing after fleets_of."""
    request = context.get("request")
    at = getattr(getattr(request, "resolver_match", None), "url_name", None) or ""
    return navigation_for(context["user"], principal_of(context["user"]), at, getattr(request, "path", ""))


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


@register.filter
def kmh(speed_m_s: float | None) -> str:
    """`{{ 13.9|kmh }}`: 50 km/h; nothing known is a dash."""
    return "–" if speed_m_s is None else f"{speed_m_s * 3.6:,.0f} km/h"


@register.filter
def in_g(acceleration_m_s2: float | None) -> str:
    """`{{ 4.2|in_g }}`: 0.43 g."""
    return "–" if acceleration_m_s2 is None else f"{acceleration_m_s2 / G:.2f} g"


@register.filter
def lasting(seconds: float | None) -> str:
    """`{{ 75.4|lasting }}`: 1 min 15 s; short ones to a tenth; not known is a dash."""
    if seconds is None:
        return "–"
    if 0 < seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@register.filter
def kilometres(metres: float) -> str:
    """`{{ 1234567|kilometres }}`: 1,235."""
    return f"{metres / 1000:,.0f}" if metres >= 10_000 else f"{metres / 1000:,.1f}"
