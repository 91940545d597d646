"""Sending commands and watching them: the panel of the vehicle page, and the same as a page."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from devices import access, commands
from devices.commands import RefusedError
from devices.kinds import NonsenseError
from devices.models import State
from devices.pages.commandform import CommandForm
from devices.resending import resend
from fleet.access import Principal, principal_of, vehicle_or_404
from fleet.audit import Actor
from fleet.models import Role, Vehicle
from fleet.pages.session import page, part

NEWEST = 8


@require_http_methods(["GET", "POST"])
@page
def panel(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    """GET: form and newest commands; `?action=` chooses the form. POST sends."""
    principal = principal_of(request.user)
    found = vehicle_or_404(principal, fleet, vehicle)
    form = CommandForm(request.POST if request.method == "POST" else request.GET, request.method == "POST")
    if request.method == "POST":
        access.check_role(principal, Role.MANAGER, found.fleet_id)
        if _sent(request, found, form) and not request.headers.get("HX-Request"):
            return redirect("vehicle-commands", fleet, vehicle)
    content = _newest(principal, found) | {"form": form}
    if request.headers.get("HX-Request"):
        chosen = request.headers.get("HX-Target") == "command-form"
        return render(request, "devices/_command_form.html" if chosen else "devices/_commands.html", content)
    return render(request, "devices/vehicle_commands.html", content)


@require_GET
@part
def newest(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    principal = principal_of(request.user)
    found = vehicle_or_404(principal, fleet, vehicle)
    return render(request, "devices/_command_list.html", _newest(principal, found))


@require_POST
@part
def act(request: HttpRequest, fleet: str, vehicle: str, command: str) -> HttpResponse:
    """The buttons of a command: `do` is approve, cancel or resend. `back=list` came from the list of all."""
    principal = principal_of(request.user)
    found = vehicle_or_404(principal, fleet, vehicle)
    wanted = access.command_or_404(principal, command)
    access.check_role(principal, Role.MANAGER, wanted.vehicle.fleet_id)
    notice = ""
    try:
        if request.POST.get("do") == "approve":
            commands.approve(Actor.of(request), wanted)
        elif request.POST.get("do") == "resend":
            resend(Actor.of(request), wanted)
        else:
            commands.cancel(Actor.of(request), wanted)
    except RefusedError as refused:
        notice = str(refused)
    if request.headers.get("HX-Request"):
        return render(request, "devices/_command_list.html", _newest(principal, found) | {"notice": notice})
    if notice:
        messages.error(request, notice)
    elif request.POST.get("do") == "resend":
        messages.success(request, f"{wanted.label}: sent again.")
    if request.POST.get("back") == "list":
        return redirect("commands")
    return redirect("vehicle-commands", fleet, vehicle)


def _sent(request: HttpRequest, vehicle: Vehicle, form: CommandForm) -> bool:
    device = commands.device_of(vehicle)
    if device is None:
        form.notice = "This vehicle has no active device to send to."
        return False
    device.vehicle = vehicle
    try:
        command = commands.send(Actor.of(request), device, form.order())
    except NonsenseError as nonsense:
        form.errors = nonsense.errors
        return False
    except RefusedError as refused:
        form.notice = str(refused)
        return False
    form.bound = False
    if not request.headers.get("HX-Request"):
        messages.success(request, f"{command.label}: {command.shown_state.label.lower()}.")
    return True


def _newest(principal: Principal, vehicle: Vehicle) -> dict[str, Any]:
    if not principal.can(Role.VIEWER, vehicle.fleet_id):
        raise PermissionDenied(access.NEEDS_VIEWER)
    rows = vehicle.commands.select_related("vehicle", "device", "sender", "approver", "resend_of")
    rows = rows.order_by("-id")[:NEWEST]
    may_send = access.may_send(principal, vehicle.fleet_id)
    shown = list(rows)
    for command in shown:
        waits = may_send and command.shown_state is State.AWAITING_APPROVAL
        command.may_approve = waits and access.may_approve(principal, command)  # type: ignore[attr-defined]
        command.may_cancel = may_send and command.open  # type: ignore[attr-defined]
        command.may_resend = may_send and command.undone  # type: ignore[attr-defined]
    return {"vehicle": vehicle, "may_send": may_send, "commands": shown}
