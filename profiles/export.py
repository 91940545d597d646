"""What a driver is told when they ask what is kept of them (GDPR, article 15 and 20)."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from fleet.audit import Actor, record
from fleet.models import AuditEntry, Driver
from profiles.models import DriverProfile, EncryptedProfile, ProfileCopy


@transaction.atomic
def everything(actor: Actor, driver: Driver) -> dict[str, Any]:
    """The driver's row, every version with its ciphertext, the cars that hold one, and who did what. Recorded itself.

    Needs `fleet` and `user` selected.
    """
    record(actor, "profile.exported", driver, driver.fleet, ({}, {}))
    acts = AuditEntry.objects.filter(object_type="driver", object_id=str(driver.pk)).order_by("id")
    return {
        "exported_at": timezone.now(),
        "driver": {
            "driver_id": driver.slug,
            "fleet_id": driver.fleet.slug,
            "name": driver.name,
            "user": driver.user.email if driver.user else None,
            "active": driver.active,
            "labels": driver.labels,
            "created_at": driver.created_at,
        },
        "profile": kept_of(driver),
        "history": list(acts.values("at", "actor", "action", "before", "after")),
    }


def kept_of(driver: Driver) -> dict[str, Any]:
    head = DriverProfile.objects.filter(driver=driver).first()
    return {
        "current_version": head.version if head and not head.erased_at else None,
        "erased_at": head.erased_at if head else None,
        "encryption": "The ciphertext was made in the car, with a key this server does not have.",
        "versions": _versions(driver),
        "copies": _copies(driver),
    }


def _versions(driver: Driver) -> list[dict[str, Any]]:
    rows = EncryptedProfile.objects.filter(profile_id=driver.pk).order_by("version")
    names = ("version", "ciphertext", "size_bytes", "sha256", "metadata", "restored_from", "created_at")
    return [
        {("encrypted_profile" if name == "ciphertext" else name): row[name] for name in names}
        | {"vehicle_id": row["vehicle__slug"], "device_id": row["device__slug"]}
        for row in rows.values(*names, "vehicle__slug", "device__slug")
    ]


def _copies(driver: Driver) -> list[dict[str, Any]]:
    rows = ProfileCopy.objects.filter(profile_id=driver.pk).order_by("id")
    return [
        {
            "vehicle_id": row["vehicle__slug"],
            "version": row["version"],
            "timestamp": row["at"],
            "told_erased_at": row["told_erased_at"],
        }
        for row in rows.values("vehicle__slug", "version", "at", "told_erased_at")
    ]
