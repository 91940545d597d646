"""What counts as a trip in a fleet. `/fleets/{fleet}/trip-rules`: viewers read it, managers change it."""

from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from fleet.access import principal_of, visible_fleets
from fleet.audit import Actor
from fleet.journeys import triprules
from fleet.journeys.tripfinder import TripSettings
from fleet.models import Role, TripRules
from fleet.pages.session import page

FIELDS: dict[str, tuple[str, str, str]] = {
    "moving_mps": ("Moves above", "m/s", "Slower is standing: receivers and wheels are never quite still."),
    "stop_s": ("Standing ends a trip after", "s", "A light or a jam is shorter."),
    "off_s": ("Ignition off ends it after", "s", "Where vehicles tell. Charging ends a trip at once."),
    "gap_s": ("Silence ends it after", "s", "Unless the vehicle drove on meanwhile: a tunnel, a dead spot."),
    "longest_gap_s": ("Silence always ends it after", "s", "Wherever the vehicle is then."),
    "drove_on_mps": (
        "It drove on when it got on faster than",
        "m/s",
        "By odometer, else by position, through the silence.",
    ),
    "least_m": ("A trip is at least", "m", "What is shorter belongs to the stop around it."),
    "least_s": ("And lasts at least", "s", ""),
}
"""Label, unit, hint."""


class RulesForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = TripRules
        fields = tuple(FIELDS)

    @property
    def wanted(self) -> TripSettings:
        return TripSettings(**{name: self.cleaned_data[name] for name in FIELDS})

    def rows(self) -> list[dict[str, Any]]:
        defaults = asdict(TripSettings())
        return [
            {
                "field": self[name],
                "name": name,
                "label": label,
                "unit": unit,
                "hint": hint,
                "usual": defaults[name],
            }
            for name, (label, unit, hint) in FIELDS.items()
        ]


@page
def trip_rules(request: HttpRequest, fleet: str) -> HttpResponse:
    found = get_object_or_404(visible_fleets(request.user), slug=fleet)
    principal = principal_of(request.user)
    if not principal.can(Role.VIEWER, found.pk):
        raise PermissionDenied("Drivers do not see how trips are found.")
    may_edit = principal.can(Role.MANAGER, found.pk)
    rules = triprules.of(found)
    if request.headers.get("HX-Request") and request.method == "GET":
        return render(request, "fleet/_trip_progress.html", {"progress": triprules.progress(rules)})
    if request.method == "POST" and not may_edit:
        raise PermissionDenied("Only managers of the fleet change what counts as a trip.")
    form = RulesForm(request.POST if request.method == "POST" else None, instance=rules)
    if request.method == "POST" and form.is_valid():
        try:
            triprules.change(Actor.of(request), found, form.wanted)
        except ValidationError as error:
            for name, texts in error.message_dict.items():
                form.add_error(name, texts)
        else:
            messages.success(request, "Saved. All trips are found anew, in the background.")
            return redirect("trip-rules", fleet=found.slug)
    content = {
        "fleet": found,
        "form": form,
        "may_edit": may_edit,
        "progress": triprules.progress(triprules.of(found)),
    }
    return render(request, "fleet/trip_rules.html", content, status=400 if form.errors else 200)
