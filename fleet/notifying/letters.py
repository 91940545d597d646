"""What an e-mail about alerts says: one of them, or a digest of several; text and HTML, times as the reader's clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string
from django.utils import timezone

from fleet.models import Alert, AlertEvent, Happening, Notification, Severity, User

LISTED = 50
_WORDS = {
    Happening.OPENED: "New alert",
    Happening.RAISED: "Alert became worse",
    Happening.ESCALATED: "Nobody acknowledged",
    Happening.ASSIGNED: "Assigned to you",
    Happening.RESOLVED: "Resolved",
    Happening.REOPENED: "Reopened",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One event, as an e-mail or a list shows it."""

    event: AlertEvent

    @property
    def what(self) -> str:
        return _WORDS.get(Happening(self.event.kind), Happening(self.event.kind).label)

    @property
    def severity(self) -> str:
        return str(Severity(self.event.severity).label).lower()

    @property
    def alert(self) -> Alert:
        return self.event.alert

    @property
    def url(self) -> str:
        return f"{settings.SITE_URL}/alerts/{self.event.alert_id}"


def letter(user: User, rows: Sequence[Notification], connection: BaseEmailBackend) -> EmailMultiAlternatives:
    """The same rows give the same Message-ID."""
    keys = [row.pk for row in rows]
    events = AlertEvent.objects.filter(notifications__in=keys).select_related("alert__vehicle__fleet")
    lines = [Line(event) for event in events.order_by("-severity", "-id")]
    content = {
        "user": user,
        "lines": lines[:LISTED],
        "further": max(0, len(lines) - LISTED),
        "one": lines[0] if len(lines) == 1 else None,
        "site": settings.SITE_URL,
    }
    template = "alert" if len(lines) == 1 else "digest"
    with timezone.override(ZoneInfo(user.time_zone)):
        text = render_to_string(f"mail/{template}.txt", content)
        html = render_to_string(f"mail/{template}.html", content)
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    headers = {
        "Message-ID": f"<{_name(keys)}@{domain}>",
        "Auto-Submitted": "auto-generated",
        "List-Unsubscribe": f"<{settings.SITE_URL}/account/notifications>",
    }
    if len(lines) == 1:  # the mails of one alert make one thread
        headers["References"] = f"<alert-{lines[0].event.alert_id}@{domain}>"
    message = EmailMultiAlternatives(
        _subject(lines), text, to=[user.email], headers=headers, connection=connection
    )
    message.attach_alternative(html, "text/html")
    return message


def _name(keys: list[int]) -> str:
    if len(keys) == 1:
        return f"notification-{keys[0]}"
    return f"digest-{min(keys)}-{max(keys)}-{len(keys)}"


def _subject(lines: list[Line]) -> str:
    worst = max(Severity(line.event.severity) for line in lines)
    if len(lines) == 1:
        line = lines[0]
        text = f"[{worst.label}] {line.what}: {line.alert.type} · {line.alert.vehicle.name}"
    else:
        vehicles = {line.alert.vehicle_id for line in lines}
        text = f"[{worst.label}] {len(lines)} alert messages of {len(vehicles)} vehicle{'s'[: len(vehicles) > 1]}"
    return " ".join(text.split())[:200]
