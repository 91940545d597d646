"""Writing, reading and erasing a driver's profile. Every writer locks the head row first, so exactly one wins.

Nothing here overwrites: an accepted version is a row of its own, until it is older than PROFILE_VERSIONS_KEPT
versions, or the profile is erased.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from fleet.access import Principal
from fleet.audit import Actor, record
from fleet.models import Driver
from profiles.models import DriverProfile, EncryptedProfile, ProfileCopy


class ConflictError(Exception):
    """The writer did not start from the current version. `version` is None when nothing is stored."""

    def __init__(self, version: int | None) -> None:
        super().__init__(version)
        self.version = version


class ErasedError(Exception):
    """The profile was erased, and nobody allowed a new one."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What is to be stored. `version`: the number the writer gave it, when it gave one."""

    ciphertext: str
    metadata: dict[str, Any]
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """`If-Match` as versions (None: not sent, empty: nothing that can match); `If-None-Match: *` as `is_new`."""

    matches: frozenset[int] | None = None
    any_version: bool = False
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    version: int
    changed: bool
    first: bool


def current(driver: Driver) -> EncryptedProfile | None:
    """The newest version. Raises ErasedError. One query."""
    head = DriverProfile.objects.filter(driver=driver).first()
    if head is None or head.version is None:
        return None
    if head.erased_at:
        raise ErasedError
    return head.versions.filter(version=head.version).first()


@transaction.atomic
def store(driver: Driver, upload: Upload, condition: Condition, writer: Principal) -> Stored:
    """Raises ConflictError or ErasedError, then nothing was kept. The same content again is no new version."""
    head, newest = _locked(driver)
    sha256 = hashlib.sha256(upload.ciphertext.encode()).hexdigest()
    if newest and newest.sha256 == sha256 and newest.metadata == upload.metadata:
        _hold(head, writer.vehicle_id, newest.version)
        return Stored(newest.version, changed=False, first=False)
    _check(newest, upload.version, condition)
    version = _number(head, upload.version)
    row = EncryptedProfile(
        version=version,
        ciphertext=upload.ciphertext,
        sha256=sha256,
        metadata=upload.metadata,
        vehicle_id=writer.vehicle_id,
        device_id=writer.device_id,
        user_id=writer.user_id,
    )
    _append(head, row)
    _hold(head, writer.vehicle_id, version)
    return Stored(version, changed=True, first=newest is None)


@transaction.atomic
def restore(actor: Actor, driver: Driver, version: int) -> int:
    """A new version with the content of an older one; answers its number.

    Raises EncryptedProfile.DoesNotExist, ErasedError, or ConflictError where that version is the current one.
    """
    head, newest = _locked(driver)
    old = head.versions.get(version=version)
    if newest is None or newest.version == version:
        raise ConflictError(head.version)
    copy = EncryptedProfile(
        version=newest.version + 1,
        ciphertext=old.ciphertext,
        sha256=old.sha256,
        metadata=old.metadata,
        user=actor.user,
        restored_from=version,
    )
    _append(head, copy)
    told = ({"version": newest.version}, {"version": copy.version, "restored_from": version})
    record(actor, "profile.restored", driver, driver.fleet, told)
    return copy.version


@transaction.atomic
def erase(actor: Actor, driver: Driver) -> int:
    """Delete every version; the head stays as a tombstone. Answers how many there were. Again: changes nothing."""
    DriverProfile.objects.get_or_create(driver=driver)
    head = DriverProfile.objects.select_for_update().get(driver=driver)
    if head.erased_at:
        return 0
    count, _ = head.versions.all().delete()
    head.erased_at, head.erased_by, head.erased_versions = timezone.now(), actor.user, count
    head.save()
    told: tuple[dict[str, Any], dict[str, Any]] = ({"versions": count}, {"versions": 0, "erased": True})
    record(actor, "profile.erased", driver, driver.fleet, told)
    return count


@transaction.atomic
def lift(actor: Actor, driver: Driver) -> bool:
    """Allow a new profile after an erasure. Numbers go on where they ended. False: nothing to lift."""
    head = DriverProfile.objects.select_for_update().filter(driver=driver, erased_at__isnull=False).first()
    if head is None:
        return False
    head.erased_at = head.erased_by = None
    head.save()
    record(actor, "profile.erasure_lifted", driver, driver.fleet, ({"erased": True}, {"erased": False}))
    return True


def given(profile_id: int, vehicle_id: int, version: int) -> None:
    """A vehicle fetched this version, or proved by its ETag that it has it."""
    _hold(DriverProfile(driver_id=profile_id), vehicle_id, version)


def told_erased(driver: Driver, vehicle_id: int) -> None:
    """A vehicle asked for an erased profile, and now knows to delete its copy."""
    copies = ProfileCopy.objects.filter(profile_id=driver.pk, vehicle_id=vehicle_id, told_erased_at=None)
    copies.update(told_erased_at=timezone.now())


def _locked(driver: Driver) -> tuple[DriverProfile, EncryptedProfile | None]:
    """The head, ours until the transaction ends, and the newest version without its ciphertext."""
    DriverProfile.objects.get_or_create(driver=driver)
    head = DriverProfile.objects.select_for_update().get(driver=driver)
    if head.erased_at:
        raise ErasedError
    newest = head.versions.filter(version=head.version or 0).defer("ciphertext").first()
    return head, newest


def _check(newest: EncryptedProfile | None, sent: int | None, condition: Condition) -> None:
    """If-Match decides where it was sent; else the number in the body must be the next one."""
    stands = newest.version if newest else None
    if condition.is_new and newest:
        raise ConflictError(stands)
    if condition.any_version or condition.matches is not None:
        if newest is None or not (condition.any_version or stands in (condition.matches or ())):
            raise ConflictError(stands)
    elif newest and sent != newest.version + 1:
        raise ConflictError(stands)


def _number(head: DriverProfile, sent: int | None) -> int:
    """The writer's own number where it is free; the very first may begin anywhere."""
    if head.version is None:
        return 1 if sent is None else sent
    return max(head.version + 1, sent or 0)


def _append(head: DriverProfile, row: EncryptedProfile) -> None:
    row.profile, row.size_bytes = head, len(row.ciphertext.encode())
    row.save(force_insert=True)
    head.version = row.version
    head.save(update_fields=["version", "updated_at"])
    kept = max(1, settings.PROFILE_VERSIONS_KEPT)
    too_old = head.versions.order_by("-version").values_list("version", flat=True)[kept : kept + 1]
    for oldest in too_old:
        head.versions.filter(version__lte=oldest).delete()


def _hold(head: DriverProfile, vehicle_id: int | None, version: int) -> None:
    if vehicle_id is None:
        return
    ProfileCopy.objects.bulk_create(
        [ProfileCopy(profile_id=head.pk, vehicle_id=vehicle_id, version=version, at=timezone.now())],
        update_conflicts=True,
        unique_fields=["profile", "vehicle"],
        update_fields=["version", "at", "told_erased_at"],
    )
