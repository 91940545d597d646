"""One device: what it is, what it reported, its tokens, its account, what waits for it, who changed it."""

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from devices.models import Command, Device, ModelInstall, Scope
from devices.status import conditions
from devices.tokenstates import SOON
from fleet.access import Principal, principal_of
from fleet.models import AuditEntry, Role
from fleet.pages.session import page

STATUSES, AUDIT, COMMANDS, TOKENS = 25, 15, 5, 50
LIVES = ((0, "no end"), (30, "30 days"), (90, "90 days"), (365, "1 year"))


def page_device(request: HttpRequest, fleet: str, device: str) -> Device:
    """The device of a page's address; one of another fleet does not exist. Vehicle, its fleet and state, account."""
    seen = Device.objects.visible_to(principal_of(request.user)).filter(
        slug=device, vehicle__fleet__slug=fleet
    )
    found = seen.select_related("vehicle__fleet", "vehicle__state", "account").first()
    if found is None:
        raise Http404
    return found


def managed_device(request: HttpRequest, fleet: str, device: str) -> Device:
    """The same for who may change it."""
    found = page_device(request, fleet, device)
    if not may_manage(principal_of(request.user), found):
        raise PermissionDenied("Only managers of the fleet may change its devices.")
    return found


def may_manage(principal: Principal, device: Device) -> bool:
    return principal.can(Role.MANAGER, device.vehicle.fleet_id)


@page
def device_page(request: HttpRequest, fleet: str, device: str) -> HttpResponse:
    return shown(request, page_device(request, fleet, device))


def shown(request: HttpRequest, device: Device, status: int = 200, **more: Any) -> HttpResponse:
    """The device's page. `more`: a secret to show once, or errors of a form."""
    principal, now = principal_of(request.user), timezone.now()
    manages = may_manage(principal, device)
    [condition] = conditions([device])
    content: dict[str, Any] = {
        "device": device,
        "vehicle": device.vehicle,
        "condition": condition,
        "reports": device.statuses.order_by("-time", "-id")[:STATUSES],
        "sensors": _groups(device),
        "told": [(name, _words(value)) for name, value in device.metadata.items()],
        "installs": ModelInstall.objects.filter(device=device)
        .select_related("release")
        .order_by("-state_at")[:10],
        "manages": manages,
        "server": request.build_absolute_uri("/").rstrip("/"),
    }
    if principal.can(Role.VIEWER, device.vehicle.fleet_id):
        content["commands"] = _waiting(device)
        content["sees_commands"] = True
    if manages:
        content |= {
            "tokens": [_Shown(token, now) for token in device.tokens.select_related("created_by")[:TOKENS]],
            "scopes": Scope.choices,
            "lives": LIVES,
            "audit": _audit(device),
        }
    response = render(request, "devices/device.html", content | more, status=status)
    if "secret" in more:
        add_never_cache_headers(response)
    return response


class _Shown:
    """A token and the word for its state."""

    def __init__(self, token: Any, now: datetime) -> None:
        self.token, self.scopes = (
            token,
            [Scope(scope).label for scope in token.scopes if scope in Scope.values],
        )
        ends = token.expires_at
        self.over = token.revoked_at is not None or (ends is not None and ends <= now)
        self.soon = not self.over and ends is not None and ends <= now + SOON


def _waiting(device: Device) -> "QuerySet[Command]":
    found = device.commands.select_related("vehicle", "device", "sender", "approver")
    return found.order_by("-id")[:COMMANDS]


def _audit(device: Device) -> "QuerySet[AuditEntry]":
    return AuditEntry.objects.filter(object_type="device", object_id=str(device.pk)).order_by("-id")[:AUDIT]


def _groups(device: Device) -> dict[str, list[tuple[str, float]]]:
    """The newest further values of a gateway by group: `fruiting.temp` is `temp` of `fruiting`."""
    state = getattr(device.vehicle, "state", None)
    found: dict[str, list[tuple[str, float]]] = {}
    for name, (value, _) in sorted((state.further or {}).items()) if state else ():
        group, dot, rest = name.partition(".")
        if dot:
            found.setdefault(group, []).append((rest, value))
    return found


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def in_days(text: str) -> datetime | None:
    """A choice of LIVES."""
    days = int(text) if text.isdecimal() and len(text) < 5 else 0
    return timezone.now() + timedelta(days=days) if days else None
