"""Which devices and commands somebody may touch. What is outside does not exist for them."""

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import get_object_or_404

from devices.models import Command, Device
from fleet.access import Principal, principal_of
from fleet.models import Role, Vehicle

NEEDS_MANAGER = "Only managers and owners of the fleet send, approve and cancel commands."
NEEDS_VIEWER = "Only viewers, managers and owners of the fleet see its commands."


def device_or_404(who: Any, name: str) -> Device:
    """By its slug, by what it calls itself, or by its vehicle's slug, VIN or plate when nobody has that name for a
    device; `vehicle`, its fleet and its state selected."""
    if "\0" in name:  # PostgreSQL cannot even look for it
        raise Http404
    visible = Device.objects.visible_to(principal_of(who)).select_related("vehicle__fleet", "vehicle__state")
    device: Device | None = visible.named(name).order_by("id").first()
    if device is None:
        of_vehicle = visible.filter(vehicle__in=Vehicle.objects.named(name))
        device = get_object_or_404(of_vehicle.order_by("-active", "-id")[:1])
    return device


def check_may_change(who: Any, device: Device) -> None:
    """Raises PermissionDenied for people below manager. `device` is visible to them."""
    principal = principal_of(who)
    if principal.device_id is None and not principal.can(Role.MANAGER, device.vehicle.fleet_id):
        raise PermissionDenied("Only managers of the fleet may change its devices.")


def command_or_404(principal: Principal, public_id: str) -> Command:
    """With all that is shown of it."""
    try:
        key = UUID(public_id)
    except ValueError:
        raise Http404 from None
    commands = Command.objects.visible_to(principal)
    return get_object_or_404(
        commands.select_related("vehicle__fleet", "device", "sender", "approver", "resend_of"), public_id=key
    )


def check_role(principal: Principal, role: Role, fleet_id: int) -> None:
    if not principal.can(role, fleet_id):
        raise PermissionDenied(NEEDS_MANAGER if role is Role.MANAGER else NEEDS_VIEWER)


def may_send(principal: Principal, fleet_id: int) -> bool:
    return principal.can(Role.MANAGER, fleet_id)


def may_approve(principal: Principal, command: Command) -> bool:
    return may_send(principal, command.vehicle.fleet_id) and command.sender_id != principal.user_id


def as_uuid(text: Any) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
