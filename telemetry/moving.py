"""A device changes its vehicle: what reconstruction knows of the first must not fill in values of the second."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from devices import retiring
from devices.commands import RefusedError
from devices.models import Device
from fleet.audit import Actor
from fleet.models import Vehicle
from telemetry.models import Frame, Stream

QUIET = timedelta(seconds=15)
"""Longer than any process believes a token without asking (TOKEN_CACHE_S): nobody takes records for the first vehicle
any more when the device is moved."""


def move(actor: Actor, device: Device, vehicle: Vehicle) -> None:
    """Raises RefusedError: while the device sends, and where it must not go. Needs `vehicle__fleet` selected.

    History stays with the vehicle it was measured in. The device's streams are forgotten: on the new vehicle its
    reconstruction begins with the next keyframe.
    """
    with transaction.atomic():
        if Device.objects.select_for_update().get(pk=device.pk).vehicle_id == vehicle.pk:
            return
        streams = Stream.objects.filter(device=device)
        busy = Frame.objects.filter(device=device).exists()
        if busy or streams.filter(updated_at__gt=timezone.now() - QUIET).exists():
            raise RefusedError(
                f"It is sending: switch it off, wait {QUIET.total_seconds():.0f} seconds, and move it then."
            )
        retiring.move(actor, device, vehicle)
        streams.delete()
