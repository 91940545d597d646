"""Creating what is missing between a fleet's name and a working token. Used by commands and tests."""

from dataclasses import asdict, dataclass
from itertools import chain, count

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
    fleet = _fleet(fleet_slug)
    slug = slugify(vehicle_slug)
    vehicle = fleet.vehicles.filter(slug=slug).first() or Vehicle(
        fleet=fleet, slug=slug, name=facts.name or vehicle_slug
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
        device = Device.objects.create(
            vehicle=vehicle, slug=_device_slug(vehicle), name=f"{vehicle.name} logger"[:120]
        )
    _, text = DeviceToken.objects.issue(device, token_name)
    return Provisioned(fleet.slug, vehicle.slug, vehicle.vin or "", vehicle.plate, device.slug, text)


def _fleet(name: str) -> Fleet:
    slug = slugify(name)
    fleet = Fleet.objects.filter(slug=slug).first()
    if fleet is None:
        fleet = Fleet(slug=slug, name=name)
        fleet.full_clean()
        fleet.save()
    return fleet


def _device_slug(vehicle: Vehicle) -> str:
    return free_slug(f"{vehicle.fleet.slug}-{vehicle.slug}")


def free_slug(wanted: str) -> str:
    """`wanted`, numbered where that is taken: by a device before, or by a-b + c beside a + b-c."""
    wanted = wanted[:74]
    candidates = chain([wanted], (f"{wanted}-{number}" for number in count(2)))
    return next(slug for slug in candidates if not Device.objects.filter(slug=slug).exists())
