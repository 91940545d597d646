"""What a fleet counts as a driving event, and when its night is. `/fleets/{fleet}/driving`."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from fleet.access import principal_of, visible_fleets
from fleet.audit import Actor
from fleet.behaviour import drivingsettings
from fleet.behaviour.driving import G
from fleet.models import DrivingSettings, Fleet, Role
from fleet.pages.session import page

_IN_G = {"acceleration_g": "acceleration_m_s2", "braking_g": "braking_m_s2", "cornering_g": "cornering_m_s2"}


class DrivingForm(forms.Form):
    """Accelerations in g, as people know them."""

    acceleration_g = forms.FloatField(label="Acceleration (g)", min_value=0.1, max_value=1.2)
    braking_g = forms.FloatField(label="Braking (g)", min_value=0.1, max_value=1.2)
    cornering_g = forms.FloatField(label="Cornering (g)", min_value=0.1, max_value=1.2)
    speed_limit_kmh = forms.FloatField(label="Above (km/h)", min_value=10, max_value=300, required=False)
    speeding_from_s = forms.FloatField(label="For at least (s)", min_value=1, max_value=600)
    idling_from_s = forms.FloatField(label="Engine on for at least (s)", min_value=30, max_value=7200)
    night_from = forms.IntegerField(label="From (hour)", min_value=0, max_value=23)
    night_to = forms.IntegerField(label="To (hour)", min_value=0, max_value=23)

    @property
    def wanted(self) -> dict[str, Any]:
        told = dict(self.cleaned_data)
        for name, column in _IN_G.items():
            told[column] = round(told.pop(name) * G, 2)
        return told


def _form(settings: DrivingSettings) -> DrivingForm:
    shown = drivingsettings.facts(settings)
    for name, column in _IN_G.items():
        shown[name] = round(shown[column] / G, 2)
    shown = {name: value if value is None else f"{value:g}" for name, value in shown.items()}
    return DrivingForm(initial=shown)


@page
def settings_page(request: HttpRequest, fleet: str) -> HttpResponse:
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=fleet)
    may_edit = principal_of(request.user).can(Role.MANAGER, found.pk)
    settings = drivingsettings.of(found)
    form = DrivingForm(request.POST) if request.method == "POST" else _form(settings)
    if request.method == "POST":
        if not may_edit:
            raise PermissionDenied
        if form.is_valid() and _changed(request, found, form):
            return redirect("driving-settings", found.slug)
    content = {
        "fleet": found,
        "form": form,
        "settings": settings,
        "may_edit": may_edit,
        "groups": _GROUPS,
        "finding": not settings.up_to_date,
    }
    return render(request, "fleet/driving_settings.html", content, status=400 if form.errors else 200)


_GROUPS = (
    ("Harsh manoeuvres", ("acceleration_g", "braking_g", "cornering_g")),
    (
        "Speeding (empty: never)",
        ("speed_limit_kmh", "speeding_from_s"),
    ),
    ("Idling", ("idling_from_s",)),
    ("Night", ("night_from", "night_to")),
)


def _changed(request: HttpRequest, fleet: Fleet, form: DrivingForm) -> bool:
    try:
        drivingsettings.change(Actor.of(request), fleet, form.wanted)
    except ValidationError as error:
        form.add_error(None, [text for texts in error.message_dict.values() for text in texts])
        return False
    messages.success(request, "Saved. All events are found anew in the background.")
    return True
