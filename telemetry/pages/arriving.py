"""The fragment that waits for a device's first record, and the page that moves a device to another vehicle."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from devices.commands import RefusedError
from devices.pages.device import managed_device
from fleet.audit import Actor
from fleet.models import Vehicle
from fleet.pages.session import page, part
from telemetry.arrivals import arrived
from telemetry.moving import move

CHOICES = 500


@part
def arriving(request: HttpRequest, fleet: str, device: str) -> HttpResponse:
    """Asks again by itself. Where nothing changed since `seen` it stays as it is: a screen reader reads each swap."""
    found = managed_device(request, fleet, device)
    state = arrived(found)
    if request.GET.get("seen") == state.key:
        return HttpResponse(status=204)
    content = {"device": found, "vehicle": found.vehicle, "arrived": state}
    return render(request, "telemetry/_arriving.html", content)


@page
def move_device(request: HttpRequest, fleet: str, device: str) -> HttpResponse:
    found = managed_device(request, fleet, device)
    places = Vehicle.objects.in_service().filter(fleet=found.vehicle.fleet_id).exclude(pk=found.vehicle_id)
    problem = ""
    if request.method == "POST":
        target = places.filter(slug=request.POST.get("vehicle", "").replace("\0", "")).first()
        if target is None:
            problem = "Choose a vehicle of this fleet that is in service."
        else:
            try:
                move(Actor.of(request), found, target)
            except RefusedError as refused:
                problem = str(refused)
            else:
                messages.success(request, f"{found.name} reports for {target.name} from now on.")
                return redirect("device-page", fleet, device)
    content = {"device": found, "places": places.order_by("name", "id")[:CHOICES], "problem": problem}
    return render(request, "telemetry/device_move.html", content, status=400 if problem else 200)
