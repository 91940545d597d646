"""Taking a device out of service, bringing it back, and giving it to another vehicle. Its history stays in any case."""

from django.db import transaction
from django.utils import timezone

from devices import commands
from devices.commands import RefusedError
from devices.models import Device
from devices.models.commands import WAITING
from fleet.audit import Actor, record
from fleet.models import User, Vehicle


def retire(actor: Actor, device: Device) -> None:
    """Its tokens are revoked, its account disabled, what waits for it cancelled. Again: nothing more.

    Needs `vehicle__fleet` selected, as everything here.
    """
    with transaction.atomic():
        locked = Device.objects.select_for_update().get(pk=device.pk)
        if not locked.active:
            return
        locked.active = False
        locked.save(update_fields=["active"])
        revoked = locked.tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
        User.objects.filter(device=locked, is_device=True).update(is_active=False)
        cancelled = _cancel_waiting(actor, device)
        told = {"active": False, "tokens_revoked": revoked, "commands_cancelled": cancelled}
        record(actor, "device.retired", device, device.vehicle.fleet, ({"active": True}, told))


def revive(actor: Actor, device: Device) -> None:
    """Back in service; it needs a new token, because the old ones stay revoked."""
    with transaction.atomic():
        if Device.objects.filter(pk=device.pk, active=False).update(active=True):
            record(
                actor, "device.revived", device, device.vehicle.fleet, ({"active": False}, {"active": True})
            )


def move(actor: Actor, device: Device, vehicle: Vehicle) -> None:
    """To another vehicle of its fleet. What waits for it was meant for the first, and is cancelled.

    Raises RefusedError. Callers outside telemetry use telemetry.moving, which looks after its streams as well.
    """
    if vehicle.fleet_id != device.vehicle.fleet_id:
        raise RefusedError("A device moves within its fleet; for another fleet, retire it and add it there.")
    if vehicle.retired_at is not None:
        raise RefusedError(f"{vehicle.name} is retired.")
    with transaction.atomic():
        locked = Device.objects.select_for_update().get(pk=device.pk)
        if locked.vehicle_id == vehicle.pk:
            return
        cancelled = _cancel_waiting(actor, device)
        before = {"vehicle": device.vehicle.slug}
        locked.vehicle = vehicle
        locked.save(update_fields=["vehicle"])
        told = {"vehicle": vehicle.slug, "commands_cancelled": cancelled}
        record(actor, "device.moved", locked, device.vehicle.fleet, (before, told))


def _cancel_waiting(actor: Actor, device: Device) -> int:
    """Those that expired meanwhile are left to the sweep."""
    waiting = list(
        device.commands.filter(state__in=WAITING, due_at__gt=timezone.now())[: commands.QUEUE_LIMIT]
    )
    cancelled = 0
    for command in waiting:
        try:
            commands.cancel(actor, command)
            cancelled += 1
        except RefusedError:  # its device was quicker, or its time was up
            continue
    return cancelled
