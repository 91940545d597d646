"""Editing what is said for a fleet, a group or a device: type, review the difference, apply; and its history."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from devices import configkeys, configuration
from devices.configdocument import Document, FlawedError, changes, parsed, readable, unified
from devices.configuration import ConflictError, Edit, Written
from devices.kinds import Number
from devices.models import ConfigLayer, ConfigVersion
from devices.pages.configplaces import Place, place_of
from fleet.audit import Actor
from fleet.pages.session import page

PAGE_SIZE = 50
_NOTE_LIMIT = 500


@require_http_methods(["GET", "POST"])
@page
def edit(request: HttpRequest, fleet: str, group: str = "", device: str = "") -> HttpResponse:
    """POST `do`: review shows what would change, apply changes it, edit goes back to the text."""
    place = place_of(request, fleet, group, device)
    layer = place.owner.layer()
    typed = request.POST.get("document", "")
    basis = layer.version if request.method == "GET" else _number(request.POST.get("basis", ""), -1)
    note = request.POST.get("note", "").strip()[:_NOTE_LIMIT]
    content: dict[str, Any] = {"place": place, "layer": layer, "basis": basis, "note": note, "keys": _keys()}
    if request.method == "GET" or request.POST.get("do") == "edit":
        return render(
            request, "devices/config_edit.html", content | {"text": typed or readable(layer.document)}
        )
    try:
        document = parsed(typed)
        if request.POST.get("do") == "apply":
            done = configuration.write(
                Actor.of(request), place.owner, Edit(document, note, frozenset({basis}))
            )
            messages.success(request, _told(done))
            return redirect(place.home)
    except FlawedError as flawed:
        content |= {"text": typed, "errors": sorted(flawed.errors.items())}
        return render(request, "devices/config_edit.html", content, status=400)
    except ConflictError:
        layer = place.owner.layer()
    if layer.version != basis:
        content |= _conflict(layer, basis)
    content |= _difference(layer.document, document, (f"version {layer.version}", "yours"))
    content |= {"text": readable(document), "affected": configuration.would_affect(place.owner, document)}
    return render(request, "devices/config_review.html", content, status=409 if "newer" in content else 200)


@require_http_methods(["GET", "POST"])
@page
def history(request: HttpRequest, fleet: str, group: str = "", device: str = "") -> HttpResponse:
    """Every version, the difference between any two; POST says an older one again."""
    place = place_of(request, fleet, group, device)
    layer = place.owner.layer()
    versions = ConfigVersion.objects.filter(layer=layer.pk)
    if request.method == "POST":
        _restore(request, place)
        return redirect(place.history)
    content: dict[str, Any] = {
        "place": place,
        "layer": layer,
        "versions": Paginator(versions.order_by("-number"), PAGE_SIZE).get_page(request.GET.get("page", "1")),
        "numbers": range(layer.version, -1, -1),
        "older": _number(request.GET.get("from", ""), max(0, layer.version - 1)),
        "newer": _number(request.GET.get("to", ""), layer.version),
    }
    said = {0: {}} | dict(
        versions.filter(number__in=[content["older"], content["newer"]]).values_list("number", "document")
    )
    if content["older"] not in said or content["newer"] not in said:
        raise Http404
    names = (f"version {content['older']}", f"version {content['newer']}")
    content |= _difference(said[content["older"]], said[content["newer"]], names)
    return render(request, "devices/config_history.html", content)


def _restore(request: HttpRequest, place: Place) -> None:
    number, basis = _number(request.POST.get("version", ""), -1), _number(request.POST.get("basis", ""), -1)
    again = Edit({}, f"Version {number} again.", frozenset({basis}))
    try:
        messages.success(request, _told(configuration.restore(Actor.of(request), place.owner, number, again)))
    except ConflictError as conflict:
        messages.error(
            request, f"Nothing was changed: version {conflict.version} stands now. Look at it first."
        )
    except ConfigVersion.DoesNotExist:
        raise Http404 from None


def _difference(old: Document, new: Document, names: tuple[str, str]) -> dict[str, Any]:
    return {"changes": changes(old, new), "diff": unified(old, new, names)}


def _conflict(layer: ConfigLayer, basis: int) -> dict[str, Any]:
    """What somebody else said since `basis`: to be looked at before anything of theirs is undone."""
    said = (
        {row.number: row for row in layer.versions.filter(number__in=[basis, layer.version])}
        if layer.pk
        else {}
    )
    before = said[basis].document if basis in said else {}
    return {"layer": layer, "newer": said.get(layer.version), "theirs": changes(before, layer.document)}


def _told(done: Written) -> str:
    if not done.changed:
        return "Nothing was different: no new version."
    devices = f"{done.affected} device{'' if done.affected == 1 else 's'}"
    return f"Version {done.version} is in force. {devices} told to fetch it."


def _keys() -> list[dict[str, Any]]:
    """Of the table beside the editor."""
    found = []
    for key in configkeys.KEYS:
        values = f"{key.low:g} – {key.high:g}" if isinstance(key, Number) else ", ".join(key.choices)
        unit = key.unit if isinstance(key, Number) else ""
        found.append({"pointer": key.name, "label": key.label, "values": values, "unit": unit})
    return found


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise
