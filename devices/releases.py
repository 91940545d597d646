"""Taking in a model release: hashed, verified against the pinned keys, and only then kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from devices.models.releases import ModelRelease, canonical
from devices.signatures import digest_of, signer_of
from devices.tufrepository import UnacceptableError, publish
from fleet.audit import Actor, record
from fleet.models import Fleet
from fleet.recording import footage

MODELS = "models"


class ExistsError(Exception):
    """This version is there already; a release never changes."""


@dataclass(frozen=True, slots=True)
class Facts:
    name: str
    version: str
    signature: str
    notes: str = ""
    compatibility: dict[str, Any] = field(default_factory=dict)
    fleet: Fleet | None = None
    targets: Any = None
    """Signed TUF targets metadata that lists this release, to be published with it."""


def add_release(actor: Actor, facts: Facts, file: "File[Any]") -> ModelRelease:
    """Raises ValidationError by field, or ExistsError; then nothing of the file stays."""
    ordered = canonical(facts.version)
    if ordered is None:
        raise ValidationError({"version": "Not a version: 2.1.0, v2.1.0, 2.1.0-beta.1."})
    digest = digest_of(file)
    signer = signer_of(digest, facts.signature)
    if signer is None:
        raise ValidationError(
            {
                "signature": "No pinned key made this signature of this file: sign it with manage.py sign_model."
            }
        )
    release = ModelRelease(
        fleet=facts.fleet,
        name=facts.name,
        version=facts.version,
        canonical=ordered,
        stored_as=f"{MODELS}/{digest.hex()}",
        size_bytes=file.size,
        sha256=digest.hex(),
        signature=facts.signature,
        key_id=signer,
        notes=facts.notes,
        compatibility=facts.compatibility,
    )
    release.clean_fields()
    if ModelRelease.objects.filter(fleet=facts.fleet, name=facts.name, canonical=ordered).exists():
        raise ExistsError
    release.stored_as = default_storage.save(release.stored_as, file)
    try:
        _keep(actor, facts, release)
    except IntegrityError:  # somebody was quicker
        default_storage.delete(release.stored_as)
        raise ExistsError from None
    except UnacceptableError as error:
        default_storage.delete(release.stored_as)
        raise ValidationError({"targets": str(error)}) from None
    return release


@transaction.atomic
def _keep(actor: Actor, facts: Facts, release: ModelRelease) -> None:
    """The release and the metadata that lists it: both or neither."""
    release.save(force_insert=True)
    told = {"version": release.version, "sha256": release.sha256, "key_id": release.key_id}
    record(actor, "release.added", release, facts.fleet, ({}, told))
    if facts.targets is not None:
        publish(actor, facts.fleet, [facts.targets])


def withdraw(actor: Actor, release: ModelRelease) -> ModelRelease:
    """Offered to nobody any more, its links dead, its file deleted; the row stays, so that the number is not used for
    another file and what devices reported can still be read. For good. Again: nothing more."""
    with transaction.atomic():
        locked = ModelRelease.objects.select_for_update().get(pk=release.pk)
        if locked.withdrawn_at is not None:
            return locked
        locked.active, locked.withdrawn_at = False, timezone.now()
        locked.save(update_fields=["active", "withdrawn_at"])
        told = {"version": locked.version, "sha256": locked.sha256}
        record(
            actor, "release.withdrawn", locked, release.fleet, ({"active": True}, {"active": False, **told})
        )
        delete_later([locked])
    return locked


def delete_later(releases: Iterable[ModelRelease]) -> None:
    """Their files, once the transaction is committed. What a crash leaves, the sweep finds."""
    names = [release.stored_as for release in releases if release.stored_as]
    transaction.on_commit(lambda: footage.delete(names))


def sweep_orphans(now: datetime) -> int:
    """Delete files that no release in force has. Answers how many."""
    kept = ModelRelease.objects.filter(withdrawn_at=None)
    return footage.sweep_folder(MODELS, lambda names: _stored(kept, names), now)


def _stored(releases: "QuerySet[ModelRelease]", names: set[str]) -> set[str]:
    return set(releases.filter(stored_as__in=names).values_list("stored_as", flat=True))
