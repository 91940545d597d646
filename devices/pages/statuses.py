"""The vehicle page's panel of devices: how each is, and what it reported lately."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from devices.models import DeviceStatus
from devices.status import conditions
from fleet.access import vehicle_or_404
from fleet.pages.session import part

SHOWN = 12


@part
def statuses(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    found = vehicle_or_404(request.user, fleet, vehicle)
    devices = found.devices.select_related("vehicle__state", "config").order_by("name", "id")
    reports = DeviceStatus.objects.filter(device__vehicle=found).select_related("device")
    content = {
        "vehicle": found,
        "conditions": conditions(devices),
        "reports": reports.order_by("-time", "-id")[:SHOWN],
    }
    return render(request, "devices/_statuses.html", content)
