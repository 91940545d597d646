"""From nothing to a device that may send: vehicle, device and token in one transaction."""

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from devices.models import Device
from devices.provision import free_slug
from devices.tokens import Terms, issue
from fleet import vehicles
from fleet.audit import Actor, record
from fleet.models import Fleet, Vehicle

TOKEN_NAME = "onboarding"


@dataclass(frozen=True, slots=True)
class Onboarded:
    device: Device
    token: str
    """Exists nowhere else from now on."""


def onboard(
    actor: Actor,
    fleet: Fleet,
    vehicle: Vehicle | vehicles.Facts,
    name: str = "",
    token_name: str = TOKEN_NAME,
) -> Onboarded:
    """A new device for a vehicle of the fleet, or for a new one of these facts. Raises ValidationError by field."""
    with transaction.atomic():
        # One at a time in a fleet: names that are free stay free until they are taken.
        Fleet.objects.select_for_update().get(pk=fleet.pk)
        place = vehicles.add(actor, fleet, vehicle) if isinstance(vehicle, vehicles.Facts) else vehicle
        if place.fleet_id != fleet.pk or place.retired_at is not None:
            raise ValidationError({"vehicle": "Choose a vehicle of this fleet that is in service."})
        place.fleet = fleet
        device = Device(
            vehicle=place,
            slug=free_slug(f"{fleet.slug}-{place.slug}"),
            name=(name.strip() or f"{place.name} logger")[:120],
        )
        device.clean_fields(exclude=["vehicle", "account", "metadata"])
        device.save(force_insert=True)
        told = {"device_id": device.slug, "name": device.name, "vehicle": place.slug}
        record(actor, "device.added", device, fleet, ({}, told))
        _, text = issue(device, Terms(token_name), actor)
    return Onboarded(device, text)
