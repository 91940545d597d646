"""A fleet's configuration: its layers, its groups, and which devices do not run what they should."""

import csv
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from devices import configuration, groups
from devices.api.groups import counted
from devices.configdocument import readable, sources
from devices.models import ConfigState, Device, DeviceConfig
from devices.pages.configplaces import Place, place_of
from fleet.audit import Actor
from fleet.pages.csvfile import plain
from fleet.pages.session import page

PAGE_SIZE = 50
SHOWN = (("", "All"), ("drifted", "Drifted"), ("refused", "Refused"), ("current", "Up to date"))
SORTS = {"": ("drifted_first", "name", "id"), "name": ("name", "id"), "vehicle": ("vehicle__name", "id")}
_EXPORT_LIMIT = 20_000


@dataclass(frozen=True)
class Wish:
    """What the list's form asks for; anything unknown counts as not asked."""

    words: str
    state: str
    group: str
    sort: str

    @classmethod
    def of(cls, asked: Any) -> "Wish":
        state, sort = asked.get("state", ""), asked.get("sort", "")
        return cls(
            words=asked.get("q", "").replace("\0", "").strip()[:80],
            state=state if state in dict(SHOWN) else "",
            group=asked.get("group", "").replace("\0", "")[:64],
            sort=sort if sort in SORTS else "",
        )

    @property
    def query(self) -> str:
        named = {"q": self.words, "state": self.state, "group": self.group, "sort": self.sort}
        return urlencode({name: value for name, value in named.items() if value})

    def narrowed(self, found: Any) -> Any:
        for word in self.words.split():
            found = found.filter(
                Q(name__icontains=word) | Q(slug__icontains=word) | Q(vehicle__name__icontains=word)
                | Q(vehicle__plate__icontains=word)
            )  # fmt: skip
        if self.group == "-":
            found = found.filter(membership=None)
        elif self.group:
            found = found.filter(
                membership__group__slug=self.group, membership__group__fleet=F("vehicle__fleet")
            )
        if self.state == "drifted":
            return found.drifted()
        if self.state == "current":
            return found.exclude(config__drifted_since__isnull=False)
        return found.filter(config__state=ConfigState.REFUSED) if self.state else found


@require_http_methods(["GET", "POST"])
@page
def overview(request: HttpRequest, fleet: str) -> HttpResponse:
    """The page, only its list when htmx asks, `?export=csv`; POST makes a group or moves devices into one."""
    place = place_of(request, fleet)
    if request.method == "POST":
        _act(request, place)
        back = Wish.of(request.POST).query
        return redirect(f"{place.overview}?{back}" if back else place.overview)
    wish = Wish.of(request.GET)
    rows = _rows(place, wish)
    if request.GET.get("export") == "csv":
        return _exported(rows)
    content = {
        "place": place,
        "wish": wish,
        "states": SHOWN,
        "groups": counted(place.owner.fleet),
        "devices": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", "1")),
    }
    if request.headers.get("HX-Request"):
        return render(request, "devices/_config_devices.html", content)
    content["layer"] = place.owner.layer()
    content["drifted"] = place.owner.devices().filter(config__drifted_since__isnull=False).count()
    return render(request, "devices/configuration.html", content)


@require_http_methods(["GET", "POST"])
@page
def group(request: HttpRequest, fleet: str, group: str) -> HttpResponse:
    """One group: what is said for it. POST renames or deletes it."""
    place = place_of(request, fleet, group=group)
    found = place.owner.group
    assert found is not None
    if request.method == "POST" and request.POST.get("do") == "delete":
        if request.POST.get("confirm") == found.slug:
            groups.delete(Actor.of(request), found)
            messages.success(request, f"The group {found.name} is deleted.")
            return redirect(place.overview)
        messages.error(request, f"Nothing was deleted: type {found.slug} to confirm.")
    elif request.method == "POST":
        try:
            groups.rename(Actor.of(request), found, request.POST.get("name", ""))
            messages.success(request, "Saved.")
        except ValidationError as error:
            messages.error(request, error.messages[0])
        return redirect(place.home)
    layer = place.owner.layer()
    counts = counted(place.owner.fleet).get(pk=found.pk)
    content = {"place": place, "group": counts, "layer": layer, "text": readable(layer.document)}
    return render(request, "devices/config_group.html", content)


@require_GET
@page
def device(request: HttpRequest, fleet: str, device: str) -> HttpResponse:
    """What one device should run, where each value comes from, and what it runs."""
    place = place_of(request, fleet, device=device)
    found = place.owner.device
    assert found is not None
    row = DeviceConfig.objects.filter(device=found).select_related("content").first()
    layers = configuration.layers_of(found)
    member = getattr(found, "membership", None)
    content = {
        "place": place,
        "device": found,
        "config": row,
        "group": member.group if member and member.group.fleet_id == place.owner.fleet.pk else None,
        "sources": sources([(kind, layer.document) for kind, layer in layers]),
        "text": readable(row.content.document) if row else "{}",
    }
    return render(request, "devices/config_device.html", content)


def _rows(place: Place, wish: Wish) -> Any:
    found = wish.narrowed(place.owner.devices().filter(active=True))
    found = found.select_related("vehicle__fleet", "config", "membership__group")
    order = [F("config__drifted_since").asc(nulls_last=True) if name == "drifted_first" else name
             for name in SORTS[wish.sort]]  # fmt: skip
    return found.order_by(*order)


def _act(request: HttpRequest, place: Place) -> None:
    fleet, actor, asked = place.owner.fleet, Actor.of(request), request.POST
    if asked.get("do") == "make":
        try:
            made = groups.make(actor, fleet, asked.get("name", "")[:120])
            messages.success(request, f"The group {made.name} is made. Choose its devices below.")
        except ValidationError as error:
            messages.error(request, error.messages[0])
        return
    target = asked.get("into", "")
    rows = _rows(place, Wish.of(asked)).order_by("pk") if asked.get("all") else None
    if rows is None:
        chosen = [int(key) for key in asked.getlist("device") if key.isdecimal() and len(key) < 19]
        rows = place.owner.devices().filter(pk__in=chosen[:PAGE_SIZE])
    keys = list(rows.values_list("pk", flat=True))
    if not keys or not target:
        messages.error(request, "Choose devices, and the group they go into.")
        return
    moved = _move(actor, place, target, keys)
    told = f"{moved} device{'' if moved == 1 else 's'} moved."
    messages.success(request, told if moved else "They are there already.")


def _move(actor: Actor, place: Place, target: str, keys: list[int]) -> int:
    fleet = place.owner.fleet
    if target != "-":
        return groups.place(actor, get_object_or_404(fleet.device_groups, slug=target), keys, []).joined
    left = 0
    for each in fleet.device_groups.filter(members__device__in=keys).distinct():
        left += groups.place(actor, each, [], keys).left
    return left


def _exported(rows: Any) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    name = f"configuration-{timezone.now():%Y-%m-%d}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    writer = csv.writer(response)
    writer.writerow(
        (
            "device",
            "name",
            "vehicle",
            "plate",
            "group",
            "wanted",
            "running",
            "state",
            "drifted_since_utc",
            "reason",
        )
    )
    for each in rows[:_EXPORT_LIMIT]:
        writer.writerow([plain(str(value)) for value in _cells(each)])
    return response


def _cells(device: Device) -> list[Any]:
    config = getattr(device, "config", None)
    member = getattr(device, "membership", None)
    told = config.told() if config else {}
    since = told.get("drifted_since")
    running = told.get("running_version")
    return [
        device.slug, device.name, device.vehicle.name, device.vehicle.plate,
        member.group.slug if member else "", told.get("wanted_version", 0), "" if running is None else running,
        told.get("state", "current"), f"{since:%Y-%m-%d %H:%M:%S}" if since else "", told.get("reason", ""),
    ]  # fmt: skip
