"""Creating what is missing between a fleet's name and a working token. Used by commands and tests."""

from dataclasses import asdict, dataclass

from django.db import transaction
from django.utils.text import slugify

from devices.models import Device, DeviceToken
from fleet.models import Fleet, Vehicle


@dataclass(frozen=True, slots=True)
class Provisioned:
    fleet: str
    vehicle: str
    vin: str
    plate: str
    device: str
    token: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class VehicleFacts:
    """What may be said about a vehicle; None leaves what is there."""

    vin: str | None = None
    plate: str | None = None
    name: str | None = None
    model: str | None = None
    model_year: int | None = None


@transaction.atomic
def provision(fleet_slug: str, vehicle_slug: str, facts: VehicleFacts, token_name: str) -> Provisioned:
    """Fleet, vehicle and device are found or made; the token is always new."""
    fleet, _ = Fleet.objects.get_or_create(slug=slugify(fleet_slug), defaults={"name": fleet_slug})
    vehicle, _ = Vehicle.objects.get_or_create(
        fleet=fleet, slug=slugify(vehicle_slug), defaults={"name": facts.name or vehicle_slug}
    )
    changed = {name: value for name, value in asdict(facts).items() if value is not None}
    if "vin" in changed:
        changed["vin"] = changed["vin"].upper()
    for name, value in changed.items():
        setattr(vehicle, name, value)
    vehicle.full_clean(exclude=["fleet"])
    vehicle.save()
    device = vehicle.devices.filter(active=True).order_by("id").first()
    if device is None:
        count = vehicle.devices.count()
        slug = f"{fleet.slug}-{vehicle.slug}" + (f"-{count + 1}" if count else "")
        device = Device.objects.create(vehicle=vehicle, slug=slug[:80], name=f"{vehicle.name} logger")
    _, text = DeviceToken.objects.issue(device, token_name)
    return Provisioned(fleet.slug, vehicle.slug, vehicle.vin or "", vehicle.plate, device.slug, text)
