"""Privacy and retention. `/fleets/{fleet}/privacy`: managers; the switches of a vehicle and of a driver are forms."""

from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from fleet.access import principal_of, vehicle_or_404, visible_fleets
from fleet.audit import Actor
from fleet.geofencing import hours
from fleet.models import Fleet, PrivateSpan, Role
from fleet.pages.drivers import driver_or_404
from fleet.pages.session import page
from fleet.privacy import retention, rules
from fleet.privacy.retention import Limits

_LISTED = 100
FIELDS: dict[str, tuple[str, str, str]] = {
    "records_months": (
        "Telemetry records", "months", "Whole months before the present one. What can be told of trips stays.",
    ),
    "places_months": ("Positions of trips and events, visits", "months", "Trips stay, with distance and times."),
    "day_sums_months": ("Statistics by day", "months", "Statistics by month stay for ever."),
    "footage_days": ("Footage of scenarios", "days", "From the day it was received."),
}  # fmt: skip
"""Label, unit, hint."""


class PrivacyForm(forms.Form):
    records_months = forms.IntegerField(min_value=1, max_value=240, required=False)
    places_months = forms.IntegerField(min_value=1, max_value=240, required=False)
    day_sums_months = forms.IntegerField(min_value=1, max_value=240, required=False)
    footage_days = forms.IntegerField(min_value=1, max_value=36_500, required=False)
    private_hours = forms.CharField(max_length=2_000, required=False)
    version = forms.IntegerField(required=False)

    def clean_private_hours(self) -> list[dict[str, Any]]:
        try:
            return hours.parsed(self.cleaned_data["private_hours"])
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"field": self[name], "name": name, "label": label, "unit": unit, "hint": hint}
            for name, (label, unit, hint) in FIELDS.items()
        ]


@page
def privacy(request: HttpRequest, fleet: str) -> HttpResponse:
    found = get_object_or_404(visible_fleets(request.user), slug=fleet)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise PermissionDenied("Only managers of the fleet see and change this.")
    form = PrivacyForm(request.POST) if request.method == "POST" else _form(found)
    if request.method == "POST" and form.is_valid() and _saved(request, found, form):
        messages.success(request, "Saved.")
        return redirect("privacy", fleet=found.slug)
    now = timezone.now()
    spans = PrivateSpan.objects.filter(vehicle__fleet=found, begins_at__lte=now, ends_at__gt=now)
    content = {
        "fleet": found,
        "form": form,
        "private_now": spans.select_related("vehicle__fleet", "rule").order_by("vehicle__name", "pk")[
            :_LISTED
        ],
        "zone": found.time_zone,
    }
    return render(request, "fleet/privacy.html", content, status=400 if form.errors else 200)


@require_POST
@page
def switch_vehicle(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    """`private`: on or off; or `hours`, in lines."""
    found, principal = vehicle_or_404(request.user, fleet, vehicle), principal_of(request.user)
    if not rules.may_switch(principal, found):
        raise PermissionDenied("This takes a manager or a driver of the fleet.")
    if "hours" in request.POST:
        if not principal.can(Role.MANAGER, found.fleet_id):
            raise PermissionDenied("Hours take a manager of the fleet.")
        try:
            wanted = hours.parsed(request.POST["hours"][:2_000])
            rules.set_hours(Actor.of(request), found.fleet, wanted, found)
        except (ValueError, ValidationError) as error:
            messages.error(request, f"Not saved. {error}")
        else:
            messages.success(request, "Saved.")
    elif request.POST.get("private") in {"on", "off"}:
        on = request.POST["private"] == "on"
        rules.switch(Actor.of(request), found, on)
        told = (
            "Private from now on: nobody sees where it is."
            if on
            else "Its position is shown again from now on."
        )
        messages.success(request, told)
    return redirect(found)


@require_POST
@page
def switch_driver(request: HttpRequest, fleet: str, driver: str) -> HttpResponse:
    """`private`: on or off."""
    principal = principal_of(request.user)
    found = driver_or_404(principal, fleet, driver)
    if not (principal.can(Role.MANAGER, found.fleet_id) or principal.user_id == found.user_id):
        raise PermissionDenied("This takes a manager of the fleet, or the driver in person.")
    if request.POST.get("private") in {"on", "off"}:
        rules.wish(Actor.of(request), found, request.POST["private"] == "on")
        messages.success(request, "Saved: it holds for trips that begin from now on.")
    return redirect(found)


def _form(fleet: Fleet) -> PrivacyForm:
    row = retention.of(fleet)
    schedule = rules.hours_of(fleet)
    known: dict[str, Any] = {**asdict(retention.limits_of(row)), "version": row.version}
    return PrivacyForm(initial=known | {"private_hours": hours.typed(schedule)})


def _saved(request: HttpRequest, fleet: Fleet, form: PrivacyForm) -> bool:
    wanted = dict(form.cleaned_data)
    version, schedule = wanted.pop("version"), wanted.pop("private_hours")
    try:
        with transaction.atomic():
            if not retention.change(Actor.of(request), fleet, Limits(**wanted), version):
                form.add_error(None, "Somebody changed it since: look at it again, and save then.")
                return False
            rules.set_hours(Actor.of(request), fleet, schedule)
    except ValidationError as error:
        for name, texts in error.message_dict.items():
            form.add_error(name, texts)
        return False
    return True
