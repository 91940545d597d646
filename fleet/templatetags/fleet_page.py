"""What every page shows: the reader's fleets, ages, numbers beside their units."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone

from fleet.access import visible_fleets
from fleet.models import Fleet, Motion
from fleet.readings import text_of

register = template.Library()


@register.simple_tag
def fleets_of(user: Any) -> list[Fleet]:
    """The first few of the reader's fleets, for the head of the page."""
    return list(visible_fleets(user).order_by("name")[:4])


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
