"""The devices of my fleets: who there is, when each was heard, in which state its tokens are. `/devices`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from devices.models import Device, DeviceStatus
from devices.status import with_heard
from devices.tokenstates import TokenState, with_token_state
from fleet.access import managed_fleets, principal_of, visible_fleets
from fleet.pages.asked import Asked
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer
from fleet.pages.session import page

PAGE_SIZE = 50
STATES = (
    ("", "In service"), ("online", "Online"), ("silent", "Silent"), ("never", "Never heard"), ("retired", "Retired"),
    ("all", "All"),
)  # fmt: skip
SORTS: dict[str, tuple[str, list[Any]]] = {
    "name": ("Name", ["name", "id"]),
    "vehicle": ("Vehicle", ["vehicle__name", "name", "id"]),
    "heard": ("Last heard", [F("heard_at").desc(nulls_last=True), "name", "id"]),
    "silent": ("Longest silent", [F("heard_at").asc(nulls_first=True), "name", "id"]),
    "new": ("Newest", ["-id"]),
}


@dataclass(frozen=True)
class Wish(Asked):
    """What the list's form asks for."""

    choices = {"state": list(dict(STATES)), "token": TokenState.values, "sort": list(SORTS)}

    q: str = ""
    fleet: str = ""
    state: str = ""
    token: str = ""
    sort: str = ""


@page
def device_list(request: HttpRequest) -> HttpResponse:
    """The page, only its list when htmx asks; `?export=csv` answers the same rows as a file."""
    principal, wish = principal_of(request.user), Wish.of(request)
    rows = _narrowed(Device.objects.visible_to(principal), wish)
    if request.GET.get("export") == "csv":
        return _exported(rows)
    devices = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", "1"))
    _put_status(devices.object_list)
    fleets = list(visible_fleets(request.user).order_by("name")[:200])
    content = {
        "wish": wish,
        "devices": devices,
        "fleets": fleets,
        "states": STATES,
        "token_states": TokenState.choices,
        "sorts": [(name, label) for name, (label, _) in SORTS.items()],
        "online_since": timezone.now() - timedelta(seconds=settings.OFFLINE_AFTER_S),
    }
    if request.headers.get("HX-Request"):
        return render(request, "devices/_device_list.html", content)
    content["managed"] = managed_fleets(principal)
    return render(request, "devices/devices.html", content)


def _narrowed(found: Any, wish: Wish) -> Any:
    now = timezone.now()
    online = Q(heard_at__gt=now - timedelta(seconds=settings.OFFLINE_AFTER_S))
    found = with_heard(with_token_state(found, now)).select_related("vehicle__fleet")
    for word in wish.q.split():
        found = found.filter(
            Q(name__icontains=word) | Q(slug__icontains=word) | Q(external_id__icontains=word)
            | Q(vehicle__name__icontains=word) | Q(vehicle__plate__icontains=word) | Q(vehicle__vin__icontains=word)
        )  # fmt: skip
    if wish.fleet:
        found = found.filter(vehicle__fleet__slug=wish.fleet)
    if wish.token:
        found = found.filter(token_state=wish.token)
    retired = Q(active=False) | Q(vehicle__retired_at__isnull=False)
    match wish.state:
        case "retired":
            found = found.filter(retired)
        case "online":
            found = found.filter(online)
        case "silent":
            found = found.filter(heard_at__isnull=False).exclude(online).exclude(retired)
        case "never":
            found = found.filter(heard_at=None).exclude(retired)
        case "":
            found = found.exclude(retired)
    return found.order_by(*SORTS[wish.sort or "name"][1])


def _put_status(devices: Any) -> None:
    """The newest report of each as `.status`. One query."""
    known = DeviceStatus.objects.in_bulk([device.newest for device in devices if device.newest])
    for device in devices:
        device.status = known.get(device.newest)
        device.token_label = TokenState(device.token_state).label


def _exported(rows: Any) -> HttpResponse:
    devices = list(rows[:EXPORT_LIMIT])
    _put_status(devices)
    head = (
        "device",
        "id",
        "fleet",
        "vehicle",
        "plate",
        "vin",
        "last_heard_utc",
        "status",
        "token",
        "version",
        "retired",
    )
    return csv_answer("devices", head, (_cells(device) for device in devices))


def _cells(device: Any) -> list[Any]:
    vehicle = device.vehicle
    heard = f"{device.heard_at:%Y-%m-%d %H:%M:%S}" if device.heard_at else ""
    return [
        device.name, device.slug, vehicle.fleet.slug, vehicle.name, vehicle.plate, vehicle.vin or "", heard,
        device.status.status if device.status else "", device.token_label, device.version,
        "" if device.working else "yes",
    ]  # fmt: skip
