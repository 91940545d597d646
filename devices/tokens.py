"""Issuing, rotating and revoking tokens, with a trace of who did it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from devices.models import Device, DeviceToken
from fleet.audit import Actor, record

OVERLAP = timedelta(hours=24)
"""Both tokens work this long after a rotation, so that a device that is away misses nothing."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a new token is for, until when, and what it is limited to."""

    name: str
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()


@transaction.atomic
def issue(device: Device, terms: Terms, actor: Actor) -> tuple[DeviceToken, str]:
    """The token and its text, which is shown once."""
    token, text = DeviceToken.objects.issue(
        device, terms.name, expires_at=terms.expires_at, scopes=list(terms.scopes), created_by=actor.user
    )
    told = {
        "token": token.prefix,
        "name": token.name,
        "scopes": token.scopes,
        "expires_at": _iso(token.expires_at),
    }
    record(actor, "token.issued", device, device.vehicle.fleet, ({}, told))
    return token, text


@transaction.atomic
def rotate(
    old: DeviceToken, actor: Actor, now: datetime, overlap: timedelta = OVERLAP
) -> tuple[DeviceToken, str]:
    """A new token like the old one, which ends after `overlap`."""
    new, text = issue(old.device, Terms(old.name, None, tuple(old.scopes)), actor)
    before = _iso(old.expires_at)
    old.end_by(now + overlap)
    told = (
        {"token": old.prefix, "expires_at": before},
        {"token": old.prefix, "expires_at": _iso(old.expires_at)},
    )
    record(actor, "token.rotated", old.device, old.device.vehicle.fleet, told)
    return new, text


@transaction.atomic
def revoke(token: DeviceToken, actor: Actor) -> None:
    """Refused everywhere within seconds. Repeated: nothing happens."""
    if token.revoked_at is not None:
        return
    token.revoke()
    fleet = token.device.vehicle.fleet
    record(actor, "token.revoked", token.device, fleet, ({}, {"token": token.prefix, "name": token.name}))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
