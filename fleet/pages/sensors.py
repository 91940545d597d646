"""A fleet's sensor catalogue: what its sensors are called, in which unit they measure, what is usual."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from fleet import sensors
from fleet.access import principal_of, visible_fleets
from fleet.audit import Actor
from fleet.models import Fleet, Role, SensorType
from fleet.pages.session import page
from fleet.readings import READINGS, Shown, catalogue_of, shown_as


class SensorTypeForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = SensorType
        fields = ("type", "label", "unit", "low", "high", "decimals")


@dataclass(frozen=True, slots=True)
class Line:
    """One type: what was said of it, as shown without that, and the form that was refused."""

    name: str
    told: SensorType | None
    usual: Shown
    refused: SensorTypeForm | None = None

    @property
    def field(self) -> dict[str, Any]:
        """What stands in the form's fields."""
        if self.refused is not None:
            return dict(self.refused.data.items())
        facts = self.told.facts() if self.told else {}
        return {name: value for name, value in facts.items() if value is not None}


@page
def catalogue(request: HttpRequest, fleet: str) -> HttpResponse:
    found = get_object_or_404(visible_fleets(request.user), slug=fleet)
    may_edit = principal_of(request.user).can(Role.MANAGER, found.pk)
    refused = None
    if request.method == "POST":
        if not may_edit:
            raise PermissionDenied("Only managers of the fleet may describe its sensors.")
        refused = _take(request, found)
        if refused is None:
            return redirect("fleet-sensors", fleet=found.slug)
    content = {"fleet": found, "lines": _lines(found, refused), "may_edit": may_edit, "refused": refused}
    return render(request, "fleet/sensors.html", content, status=400 if refused else 200)


def _take(request: HttpRequest, fleet: Fleet) -> SensorTypeForm | None:
    """Save or forget one type; the form when it is refused."""
    actor, name = Actor.of(request), request.POST.get("type", "").strip()
    if "forget" in request.POST:
        sensors.forget(actor, fleet, name)
        messages.success(request, f"{name} is shown as usual again.")
        return None
    form = SensorTypeForm(request.POST)
    if not form.is_valid():
        return form
    sensors.describe(actor, fleet, form.save(commit=False))
    messages.success(request, f"{name} saved.")
    return None


def _lines(fleet: Fleet, refused: SensorTypeForm | None) -> list[Line]:
    """What was described or has been seen; last an empty one for a type that is yet to come."""
    told = catalogue_of(fleet.pk)
    wrong = refused.data.get("type", "").strip() if refused else ""
    names = sorted({*told, *sensors.seen_in(fleet)}, key=lambda name: (name in READINGS, name))
    lines = [Line(n, told.get(n), shown_as(n), refused if n == wrong else None) for n in names]
    return [*lines, Line("", None, Shown(""), refused if wrong not in names else None)]
