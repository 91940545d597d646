"""The commands of all my fleets, newest first; the page asks for its list again when a command changes. `/commands`."""

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from devices import access
from devices.kinds import KINDS
from devices.models import Command, State
from fleet.access import principal_of, visible_vehicles
from fleet.models import Role
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer
from fleet.pages.session import page

ROWS = 50
_LONGEST_KEY = 19


@dataclass(frozen=True)
class Wish:
    """What the list's form asks for; anything unknown counts as not asked."""

    vehicle: str = ""
    """Words of its name, plate or VIN."""
    state: str = ""
    action: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> "Wish":
        state, action = request.GET.get("state", ""), request.GET.get("action", "")
        return cls(
            request.GET.get("vehicle", "").replace("\0", "").strip()[:80],
            state if state in State.values else "",
            action if action in KINDS else "",
        )

    @property
    def query(self) -> str:
        return urlencode({name: value for name, value in asdict(self).items() if value})


@require_GET
@page
def listing(request: HttpRequest) -> HttpResponse:
    principal, wish = principal_of(request.user), Wish.of(request)
    found = Command.objects.visible_to(principal)
    if not principal.sees_everything:
        ids = [key for key in principal.roles if principal.can(Role.VIEWER, key)]
        found = found.filter(vehicle__fleet__in=ids)
    found = _narrowed(found, wish, request).select_related(
        "vehicle__fleet", "device", "sender", "approver", "resend_of"
    )
    if request.GET.get("export") == "csv":
        return _exported(found[:EXPORT_LIMIT])
    before = request.GET.get("before", "")
    before = before if before.isdecimal() and len(before) < _LONGEST_KEY else ""
    if before:
        found = found.filter(pk__lt=int(before))
    rows = list(found[: ROWS + 1])
    for command in rows:
        command.may_resend = command.undone and access.may_send(principal, command.vehicle.fleet_id)
    content = {
        "wish": wish,
        "commands": rows[:ROWS],
        "before": before,
        "older": rows[ROWS - 1].pk if len(rows) > ROWS else None,
        "states": State.choices,
        "kinds": [(kind.action, kind.label) for kind in KINDS.values()],
        "now": timezone.now(),
    }
    is_part = request.headers.get("HX-Request")
    return render(request, "devices/_commands_of_all.html" if is_part else "devices/commands.html", content)


def _narrowed(found: Any, wish: Wish, request: HttpRequest) -> Any:
    if wish.state:
        found = found.in_state(wish.state, timezone.now())
    if wish.action:
        found = found.filter(action=wish.action)
    if wish.vehicle:
        found = found.filter(vehicle__in=visible_vehicles(request.user).search(wish.vehicle))
    return found.order_by("-id")


def _exported(rows: Any) -> HttpResponse:
    head = ("id", "action", "parameters", "vehicle", "fleet", "device", "state", "sent_utc", "sender", "delivered_utc",
            "path", "ended_utc", "message", "resend_of")  # fmt: skip
    return csv_answer("commands", head, (_cells(command) for command in rows))


def _cells(command: Command) -> list[Any]:
    sent, got, end = (
        f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""
        for moment in (command.created_at, command.delivered_at, command.ended_at)
    )
    again = str(command.resend_of.public_id) if command.resend_of else ""
    return [
        str(command.public_id), command.action, str(command.parameters), command.vehicle.name,
        command.vehicle.fleet.slug, command.device.slug, command.shown_state.value, sent,
        str(command.sender or ""), got, command.path, end, command.message, again,
    ]  # fmt: skip
