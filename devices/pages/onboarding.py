"""Adding a device: a form, then a page that waits with you for its first record."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers

from devices.models import Device
from devices.onboarding import onboard
from devices.pages.device import managed_device
from fleet.access import managed_fleets, principal_of
from fleet.audit import Actor
from fleet.models import Fleet, Kind, Vehicle
from fleet.pages.session import page
from fleet.vehicles import Facts

CHOICES = 500
"""Vehicles offered in the list; of larger fleets, by their address `?vehicle=`."""


class NewDeviceForm(forms.Form):
    fleet = forms.ModelChoiceField(queryset=Fleet.objects.none(), to_field_name="slug")
    vehicle = forms.CharField(max_length=64, required=False)
    """Slug of a vehicle of the fleet; empty: a new one."""
    new_name = forms.CharField(max_length=120, required=False)
    vin = forms.CharField(max_length=17, required=False)
    plate = forms.CharField(max_length=20, required=False)
    gateway = forms.BooleanField(required=False)
    name = forms.CharField(max_length=120, required=False)

    def __init__(self, managed: list[Fleet], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["fleet"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Fleet.objects.filter(pk__in=[fleet.pk for fleet in managed])

    def clean(self) -> dict[str, Any]:
        known = self.cleaned_data
        if not known.get("vehicle") and not known.get("new_name", "").strip():
            self.add_error("new_name", "Name the new vehicle, or choose one that is there.")
        if (slug := known.get("vehicle")) and known.get("fleet"):
            known["place"] = known["fleet"].vehicles.in_service().filter(slug=slug).first()
            if known["place"] is None:
                self.add_error("vehicle", "This is not a vehicle of the fleet in service.")
        return known

    @property
    def wish(self) -> Vehicle | Facts:
        known = self.cleaned_data
        if place := known.get("place"):
            found: Vehicle = place
            return found
        kind = Kind.SITE if known["gateway"] else Kind.VEHICLE
        return Facts(known["new_name"], known["vin"], known["plate"], kind=kind)


@page
def new_device(request: HttpRequest) -> HttpResponse:
    managed = managed_fleets(principal_of(request.user))
    if not managed:
        raise PermissionDenied("Adding devices takes a manager.")
    asked = {name: request.GET[name] for name in ("fleet", "vehicle") if name in request.GET}
    form = NewDeviceForm(managed, request.POST or None, initial=asked)
    if request.method == "POST" and form.is_valid():
        try:
            made = onboard(
                Actor.of(request), form.cleaned_data["fleet"], form.wish, form.cleaned_data["name"]
            )
        except ValidationError as error:
            names = {"name": "new_name"}
            for field, texts in error.message_dict.items():
                place = names.get(field, field)
                form.add_error(place if place in form.fields else None, texts)
        else:
            return _waiting(request, made.device, made.token)
    places = Vehicle.objects.in_service().filter(fleet__in=managed).select_related("fleet")
    content = {
        "form": form,
        "managed": managed,
        "places": places.order_by("fleet__name", "name", "id")[:CHOICES],
    }
    return render(request, "devices/device_new.html", content, status=400 if form.errors else 200)


@page
def waiting(request: HttpRequest, fleet: str, device: str) -> HttpResponse:
    """Again, without the token: that was shown once."""
    found = managed_device(request, fleet, device)
    if not found.working:
        messages.error(request, "This device is retired: bring it back first.")
        return redirect("device-page", fleet, device)
    return _waiting(request, found, "")


def _waiting(request: HttpRequest, device: Device, token: str) -> HttpResponse:
    vehicle = device.vehicle
    content = {
        "device": device,
        "vehicle": vehicle,
        "token": token,
        "server": request.build_absolute_uri("/").rstrip("/"),
        "plain_http": not request.is_secure(),
    }
    response = render(request, "devices/device_waiting.html", content)
    if token:
        add_never_cache_headers(response)
    return response
