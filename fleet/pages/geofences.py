"""A fleet's geofences: the list, the editor, the import, and what the live map draws."""

import json
from typing import Any

import orjson
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from rest_framework.exceptions import ValidationError as RefusedError

from fleet.access import principal_of, visible_fleets
from fleet.audit import Actor
from fleet.geofencing import fencefeatures, geofences, hours
from fleet.models import FenceKind, Fleet, Geofence, Role
from fleet.pages.geofence_form import GeofenceForm
from fleet.pages.geofence_list import Asked, as_csv, as_geojson, rows_of
from fleet.pages.session import page, part

PAGE_SIZE = 50
MAP_LIMIT = 2_000
"""Geofences drawn at once."""


@page
def geofence_list(request: HttpRequest, fleet: str) -> HttpResponse:
    """Filtered, sorted, paged; `?export=csv` or `geojson` answers the same rows as a file."""
    found = get_object_or_404(visible_fleets(request.user), slug=fleet)
    asked = Asked.of(request)
    rows = rows_of(found, asked)
    if request.GET.get("export") == "csv":
        return as_csv(found, rows)
    if request.GET.get("export") == "geojson":
        return as_geojson(found, rows)
    shown = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", "1"))
    content = {
        "fleet": found,
        "asked": asked,
        "geofences": shown,
        "lines": [(fence, hours.text_of(fence.schedule)) for fence in shown],
        "kinds": FenceKind.choices,
        "may_edit": principal_of(request.user).can(Role.MANAGER, found.pk),
    }
    is_part = request.headers.get("HX-Request")
    return render(request, "fleet/_geofence_list.html" if is_part else "fleet/geofences.html", content)


@page
def new(request: HttpRequest, fleet: str) -> HttpResponse:
    found = managed(request, fleet)
    form = GeofenceForm(found, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            fence = geofences.add(Actor.of(request), found, form.wish)
        except RefusedError as error:
            refuse(form, error)
        else:
            messages.success(request, f"{fence.name} was added.")
            return redirect(fence)
    return _form_page(request, found, form)


@page
def edit(request: HttpRequest, fleet: str, geofence: int) -> HttpResponse:
    found = managed(request, fleet)
    known = geofence_of(found, geofence)
    form = GeofenceForm(found, request.POST or None, instance=known)
    if request.method == "POST" and form.is_valid():
        try:
            geofences.change(Actor.of(request), form.wish)
        except RefusedError as error:
            refuse(form, error)
        else:
            messages.success(request, f"{known.name} was changed.")
            return redirect("geofence-page", found.slug, known.pk)
    return _form_page(request, found, form)


@page
def delete(request: HttpRequest, fleet: str, geofence: int) -> HttpResponse:
    """Asks once, then deletes."""
    found = managed(request, fleet)
    known = geofence_of(found, geofence)
    reason = ""
    if request.method == "POST":
        try:
            geofences.delete(Actor.of(request), known)
        except RefusedError as error:
            detail: Any = error.detail
            reason = str(detail["geofence"])
        else:
            messages.success(request, f"{known.name} was deleted, with its visits.")
            return redirect("geofences-page", found.slug)
    content = {"fleet": found, "geofence": known, "reason": reason}
    return render(request, "fleet/geofence_delete.html", content, status=409 if reason else 200)


@page
def bring_in(request: HttpRequest, fleet: str) -> HttpResponse:
    """GeoJSON from a file or a text: all of its features, or none and what is wrong with which."""
    found = managed(request, fleet)
    reasons: list[str] = []
    text = request.POST.get("text", "")
    if request.method == "POST":
        try:
            fences = fencefeatures.read(found, _sent(request) or text)
            wishes = [geofences.Wish(fence) for fence in fences]
            geofences.add_all(Actor.of(request), found, wishes)
        except fencefeatures.UnreadableError as error:
            reasons = error.reasons
        except RefusedError as error:
            detail: Any = error.detail
            reasons = [str(reason) for reason in detail.values()]
        else:
            messages.success(request, f"{len(fences)} geofence{'' if len(fences) == 1 else 's'} added.")
            return redirect("geofences-page", found.slug)
    content = {"fleet": found, "reasons": reasons, "text": text, "limit": fencefeatures.MOST_FEATURES}
    return render(request, "fleet/geofence_import.html", content, status=400 if reasons else 200)


@part
def drawn(request: HttpRequest) -> HttpResponse:
    """GeoJSON of the reader's geofences, for the live map."""
    rows = Geofence.objects.visible_to(principal_of(request.user)).select_related("fleet").order_by("id")
    content = fencefeatures.collection(fencefeatures.drawn(row) for row in rows[:MAP_LIMIT])
    return HttpResponse(orjson.dumps(content), content_type="application/geo+json")


def managed(request: HttpRequest, name: str) -> Fleet:
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=name)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise PermissionDenied("Geofences are made by managers of the fleet.")
    return found


def geofence_of(fleet: Fleet, number: int) -> Geofence:
    return get_object_or_404(Geofence.objects.select_related("fleet"), pk=number, fleet=fleet)


def refuse(form: GeofenceForm, error: RefusedError) -> None:
    detail: Any = error.detail
    for name, texts in detail.items():
        form.add_error(name if name in form.fields else None, texts)


def _sent(request: HttpRequest) -> str:
    file = request.FILES.get("file")
    if file is None:
        return ""
    if (file.size or 0) > fencefeatures.MOST_BYTES:
        raise fencefeatures.UnreadableError([f"At most {fencefeatures.MOST_BYTES // 1_000_000} MB at once."])
    try:
        return str(file.read(), "utf-8-sig")
    except UnicodeDecodeError:
        raise fencefeatures.UnreadableError(["The file is no UTF-8 text."]) from None


def _form_page(request: HttpRequest, fleet: Fleet, form: GeofenceForm) -> HttpResponse:
    stored = (
        geofence_of(fleet, form.instance.pk)
        if form.instance.pk
        else Geofence(kind=FenceKind.CIRCLE, radius_m=200)
    )
    content = {
        "fleet": fleet, "form": form, "bound": form.is_bound, "stored": stored, "kinds": FenceKind.choices,
        "text": json.dumps(stored.geometry) if stored.pk else "", "hours": hours.typed(stored.schedule),
        "min_stay": stored.min_stay_s / 60 or None, "dwell": stored.dwell_s / 60 if stored.dwell_s else None,
        "members": fleet.vehicles.order_by("name", "id"), "chosen": _chosen(form, stored),
        "tile_url": settings.TILE_URL, "tile_attribution": settings.TILE_ATTRIBUTION,
        "replay_limit": geofences.REPLAY_DAYS,
    }  # fmt: skip
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "fleet/geofence_form.html", content, status=status)


def _chosen(form: GeofenceForm, stored: Geofence) -> list[int]:
    if form.is_bound:
        return [int(number) for number in form.data.getlist("vehicles") if number.isdigit()]  # type: ignore[attr-defined]
    return list(stored.vehicles.values_list("pk", flat=True)) if stored.pk else []
