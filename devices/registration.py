"""How a device comes into a fleet: made by a manager, or by itself with the fleet's registration secret."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify
from rest_framework.exceptions import AuthenticationFailed, ValidationError

from devices.models import Device, DeviceToken, RegistrationSecret, digest_of
from devices.provision import free_slug
from fleet.audit import Actor, record
from fleet.models import Fleet, Kind, Vehicle

_SECOND_CHANCE = timedelta(hours=24)
"""A device that never used its token, because the answer was lost, may ask for another one this long."""
_BY_ITSELF = "registration"
"""The name of a token that a device was given for a registration secret."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a device says of itself, or a manager of it."""

    device_id: str
    name: str = ""
    gateway: bool = False
    vehicle: Vehicle | None = None
    """Of the same fleet; None: a new one of the device's name."""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registered:
    device: Device
    token: str
    """Empty when it has one already."""
    created: bool
    stranger: bool = False
    """Nothing shows that who asks is this device: it is told only that there is one."""


@transaction.atomic
def register(fleet: Fleet, wish: Wish, actor: Actor, token_name: str = "first token") -> Registered:
    """The device of this name in this fleet, made when it is missing. Only a new one gets a token."""
    # One registration of a fleet at a time: the same device may try twice at once.
    Fleet.objects.select_for_update().get(pk=fleet.pk)
    known = (
        Device.objects.filter(vehicle__fleet=fleet).named(wish.device_id).select_related("vehicle").first()
    )
    if known is not None:
        return Registered(known, "", False)
    device = Device.objects.create(
        vehicle=wish.vehicle or _new_vehicle(fleet, wish),
        # With its fleet's name before it, the id says nothing of what other fleets have.
        slug=free_slug(f"{fleet.slug}-{slugify(wish.device_id) or 'device'}"),
        external_id=wish.device_id,
        name=wish.name or wish.device_id,
        metadata=wish.metadata,
    )
    _, text = DeviceToken.objects.issue(device, token_name)
    record(actor, "device.registered", device, fleet, ({}, {"device_id": device.slug, "name": device.name}))
    return Registered(device, text, True)


@transaction.atomic
def register_with_secret(secret: str, wish: Wish, address: str | None, now: datetime) -> Registered:
    """By the device itself. Raises AuthenticationFailed when the secret is not (or no longer) good."""
    usable = RegistrationSecret.objects.usable(now).filter(digest=digest_of(secret))
    found = usable.select_for_update().select_related("fleet").first()
    if found is None:
        raise AuthenticationFailed("This registration secret is unknown, expired, revoked or used up.")
    done = register(
        found.fleet, wish, Actor(f"registration secret {found.prefix}", address=address), _BY_ITSELF
    )
    if done.created:
        RegistrationSecret.objects.filter(pk=found.pk).update(uses=F("uses") + 1)
        return done
    return _second_chance(done.device, now)


def _second_chance(device: Device, now: datetime) -> Registered:
    """The answer with its token may never have arrived: a token that nobody used is replaced.

    Only of a device that came by itself: who holds the secret may add devices, and take over none.
    """
    young = device.created_at > now - _SECOND_CHANCE
    unused = device.tokens.filter(name=_BY_ITSELF, last_used_at=None)
    if not (young and unused.exists()) or device.tokens.exclude(pk__in=unused).exists():
        return Registered(device, "", False, stranger=True)
    for token in device.tokens.filter(revoked_at=None):
        token.revoke()
    return Registered(device, DeviceToken.objects.issue(device, _BY_ITSELF)[1], False)


def _new_vehicle(fleet: Fleet, wish: Wish) -> Vehicle:
    name = wish.name or wish.device_id
    wanted = slugify(wish.device_id)[:60] or "device"
    slugs = set(fleet.vehicles.filter(slug__startswith=wanted).values_list("slug", flat=True))
    slug = next(
        s for n in range(len(slugs) + 1) if (s := wanted if n == 0 else f"{wanted}-{n + 1}") not in slugs
    )
    kind = Kind.SITE if wish.gateway else Kind.VEHICLE
    return Vehicle.objects.create(fleet=fleet, slug=slug, name=name[:120], kind=kind)


def update_own(device: Device, name: str, metadata: dict[str, Any]) -> Device:
    """A device that registers again says what it is now."""
    device.name = (name or device.name)[:120]
    device.metadata = {**device.metadata, **metadata}
    device.save(update_fields=["name", "metadata"])
    return device


def vehicle_of(fleet: Fleet, name: str) -> Vehicle:
    found = fleet.vehicles.filter(pk__in=Vehicle.objects.named(name)).first()
    if found is None:
        raise ValidationError(
            {"vehicle": f"{name!r} is not a vehicle of this fleet: its slug, VIN or plate."}
        )
    return found


def issue_secret(
    actor: Actor, fleet: Fleet, name: str, limit: int | None = None, expires_at: datetime | None = None
) -> tuple[RegistrationSecret, str]:
    """The secret and its text, which is shown once."""
    with transaction.atomic():
        secret, text = RegistrationSecret.objects.issue(
            fleet, name, limit=limit, expires_at=expires_at, created_by=actor.user
        )
        until = expires_at.isoformat() if expires_at else None
        told = {"secret": secret.prefix, "name": name, "limit": limit, "expires_at": until}
        record(actor, "secret.issued", secret, fleet, ({}, told))
    return secret, text


def revoke_secret(actor: Actor, secret: RegistrationSecret) -> None:
    """Nobody registers with it any more; devices that did stay. Again: nothing more. Needs `fleet` selected."""
    with transaction.atomic():
        alive = RegistrationSecret.objects.filter(pk=secret.pk, revoked_at=None)
        if alive.update(revoked_at=timezone.now()):
            record(actor, "secret.revoked", secret, secret.fleet, ({}, {"secret": secret.prefix}))
