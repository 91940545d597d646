"""A repository of TUF metadata: root and targets are verified and taken in, snapshot and timestamp are signed here.

The server's own keys (TUF_ONLINE_KEYS) speak for snapshot and timestamp only, which say what is newest. Which files are
genuine is said by targets, and who may say so by root; nothing on the server can sign either.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from devices.models import ModelRelease, TufMetadata, TufRepository, TufRole
from devices.tufdocuments import ONLINE_ROLES, target_path
from fleet.audit import Actor, record
from fleet.models import Fleet

log = logging.getLogger(__name__)
TIMESTAMP_LIFE, SNAPSHOT_LIFE = timedelta(days=1), timedelta(days=7)
_SNAPSHOT_RENEWED = timedelta(days=3)
"""Before its end."""
_KEPT = 10
"""Snapshots and timestamps: a device that is in the middle of fetching finds what its timestamp names."""
SIZE_LIMIT = 2_000_000
"""Bytes of one document."""


class UnacceptableError(Exception):
    """Why a document is not taken in. Nothing was kept."""


@dataclass
class _State:
    """The newest of each role; None: there is none yet."""

    root: "Metadata[Root] | None" = None
    targets: "Metadata[Targets] | None" = None
    snapshot: "Metadata[Snapshot] | None" = None
    timestamp: "Metadata[Timestamp] | None" = None


def publish(actor: Actor, fleet: Fleet | None, documents: list[Any]) -> list[str]:
    """Take in signed root and targets metadata (JSON objects, in order), all of it or nothing; what is new, by name.

    Raises UnacceptableError. The same documents again change nothing.
    """
    now = timezone.now()
    with transaction.atomic():
        TufRepository.objects.get_or_create(fleet=fleet)
        repository = TufRepository.objects.select_for_update().get(fleet=fleet)
        state = _state(repository)
        taken = [name for each in documents if (name := _take(repository, state, each, now))]
        if state.root is None:
            raise UnacceptableError("There is no root yet: send version 1 of it first.")
        if state.targets is not None:
            _check_signed(
                state.root, state.targets, "Send targets signed with the keys that this root names."
            )
        if taken:
            _sign_newest(repository, state, now)
            record(actor, "tuf.published", repository, fleet, ({}, {"documents": taken}))
    return taken


def refresh(now: datetime) -> int:
    """Sign again what is newest, before its signature runs out. How many repositories."""
    signed = 0
    for key in TufRepository.objects.values_list("pk", flat=True):
        with transaction.atomic():
            repository = TufRepository.objects.select_for_update().get(pk=key)
            try:
                signed += _sign_newest(repository, _state(repository), now)
            except UnacceptableError as error:
                log.error("TUF metadata of %s cannot be signed: %s", repository, error)
    return signed


def file_of(fleet: Fleet | None, name: str) -> TufMetadata | None:
    """As clients ask for it: timestamp.json, 3.snapshot.json, 3.targets.json, 3.root.json."""
    rows = TufMetadata.objects.filter(repository__fleet=fleet)
    if name == "timestamp.json":
        return rows.filter(role=TufRole.TIMESTAMP).order_by("-version").first()
    version, _, rest = name.partition(".")
    role = rest.removesuffix(".json")
    if not (version.isascii() and version.isdigit() and len(version) < 18 and rest == f"{role}.json"):
        return None
    return rows.filter(role=role, version=int(version)).first()


def newest_of(fleet: Fleet | None) -> list[TufMetadata]:
    """One of each role that there is, root first."""
    rows = TufMetadata.objects.filter(repository__fleet=fleet).defer("body")
    found = [rows.filter(role=role).order_by("-version").first() for role in TufRole]
    return [row for row in found if row is not None]


def _state(repository: TufRepository) -> _State:
    found: dict[str, Any] = {}
    for role in TufRole:
        row = repository.metadata.filter(role=role).order_by("-version").first()
        found[role.value] = Metadata.from_bytes(row.body.encode()) if row else None
    return _State(**found)


def _take(repository: TufRepository, state: _State, document: Any, now: datetime) -> str:
    """The name of what was kept; empty for what is there already."""
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    if len(body) > SIZE_LIMIT:
        raise UnacceptableError(f"A document has at most {SIZE_LIMIT} bytes.")
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(body)
    except DeserializationError as error:
        raise UnacceptableError(f"This is no TUF metadata: {error.__cause__ or error}") from None
    role = metadata.signed.type
    if role not in {"root", "targets"}:
        raise UnacceptableError(f"Send root and targets; {role} is signed by the server.")
    known = getattr(state, role)
    if known is not None and known.signed == metadata.signed:
        return ""
    if metadata.signed.is_expired(now):
        raise UnacceptableError(f"This {role} has expired.")
    if role == "root":
        _check_root(state.root, metadata)
    else:
        _check_targets(repository, state, metadata)
    setattr(state, role, metadata)
    return str(_keep(repository, metadata, body))


def _check_root(known: "Metadata[Root] | None", wanted: "Metadata[Root]") -> None:
    version = known.signed.version + 1 if known else 1
    if wanted.signed.version != version:
        raise UnacceptableError(f"The next root has version {version}; this is {wanted.signed.version}.")
    for by in filter(None, (known, wanted)):
        _check_signed(by, wanted, "A root is signed with the keys before and with its own.")
    root = wanted.signed
    if not root.consistent_snapshot:
        raise UnacceptableError("A root must ask for consistent snapshots.")
    for role in ONLINE_ROLES:
        if root.roles[role].threshold != 1 or _online_signer(root, role) is None:
            raise UnacceptableError(
                f"This server holds no key that the root names for {role} (TUF_ONLINE_KEYS)."
            )
    online = {key for role in ONLINE_ROLES for key in root.roles[role].keyids}
    if online & {*root.roles["root"].keyids, *root.roles["targets"].keyids}:
        raise UnacceptableError("A key of the server must not speak for root or targets.")


def _check_targets(repository: TufRepository, state: _State, wanted: "Metadata[Targets]") -> None:
    if state.root is None:
        raise UnacceptableError("There is no root yet: send version 1 of it first.")
    _check_signed(state.root, wanted, "Sign it with the key that the root names.")
    version = state.targets.signed.version if state.targets else 0
    if wanted.signed.version <= version:
        raise UnacceptableError(
            f"Version {version} is published: the next is higher than {wanted.signed.version}."
        )
    if wanted.signed.delegations is not None:
        raise UnacceptableError("Delegations are not served: list every file in targets itself.")
    releases = ModelRelease.objects.filter(fleet=repository.fleet_id)
    known = {
        target_path(name, text): (size, sha256)
        for name, text, size, sha256 in releases.values_list("name", "version", "size_bytes", "sha256")
    }
    for path, target in wanted.signed.targets.items():
        if path not in known:
            raise UnacceptableError(f"{path} is no release here: add it first, or with this document.")
        if known[path] != (target.length, target.hashes.get("sha256")) or len(target.hashes) != 1:
            raise UnacceptableError(
                f"{path} is another file than the release: length and SHA-256 (only) must match."
            )


def _check_signed(by: "Metadata[Root]", wanted: "Metadata[Any]", advice: str) -> None:
    try:
        by.signed.verify_delegate(wanted.signed.type, wanted.signed_bytes, wanted.signatures)
    except (UnsignedMetadataError, ValueError) as error:
        raise UnacceptableError(f"{error}. {advice}") from None


def _sign_newest(repository: TufRepository, state: _State, now: datetime) -> bool:
    """A new timestamp, and a new snapshot where the one there is says something else or runs out."""
    if state.root is None or state.targets is None:
        return False
    root = state.root.signed
    said = MetaFile(version=state.targets.signed.version)
    snapshot = state.snapshot
    # Once the keys changed, what the old ones signed is worth nothing.
    if snapshot is None or snapshot.signed.meta != {"targets.json": said} or _runs_out(root, snapshot, now):
        fresh = Snapshot(
            version=snapshot.signed.version + 1 if snapshot else 1,
            expires=_ends(now, SNAPSHOT_LIFE),
            meta={"targets.json": said},
        )
        snapshot = Metadata(fresh)
        body = _sign(root, snapshot)
    else:
        body = snapshot_body(repository, snapshot.signed.version)
    newest = MetaFile(snapshot.signed.version, len(body), {"sha256": hashlib.sha256(body).hexdigest()})
    before = state.timestamp.signed.version if state.timestamp else 0
    timestamp = Timestamp(version=before + 1, expires=_ends(now, TIMESTAMP_LIFE), snapshot_meta=newest)
    if snapshot is not state.snapshot:
        _keep(repository, snapshot, body)
    metadata = Metadata(timestamp)
    _keep(repository, metadata, _sign(root, metadata))
    for role, version in (("snapshot", snapshot.signed.version), ("timestamp", timestamp.version)):
        repository.metadata.filter(role=role, version__lte=version - _KEPT).delete()
    return True


def snapshot_body(repository: TufRepository, version: int) -> bytes:
    return repository.metadata.get(role=TufRole.SNAPSHOT, version=version).body.encode()


def _runs_out(root: Root, snapshot: "Metadata[Snapshot]", now: datetime) -> bool:
    if snapshot.signed.is_expired(now + _SNAPSHOT_RENEWED):
        return True
    try:
        root.verify_delegate("snapshot", snapshot.signed_bytes, snapshot.signatures)
    except RepositoryError:
        return True
    return False


def _sign(root: Root, metadata: "Metadata[Any]") -> bytes:
    signer = _online_signer(root, metadata.signed.type)
    if signer is None:
        raise UnacceptableError("TUF_ONLINE_KEYS holds no key that the root names.")
    metadata.sign(signer)
    return metadata.to_bytes()


def _online_signer(root: Root, role: str) -> CryptoSigner | None:
    """With the first of our keys that the root names for the role, under the id that it has there."""
    named: dict[Any, Any] = {
        root.keys[keyid].keyval.get("public"): root.keys[keyid] for keyid in root.roles[role].keyids
    }
    for path in settings.TUF_ONLINE_KEYS:
        try:
            private = serialization.load_pem_private_key(Path(path).read_bytes(), None)
            signer = CryptoSigner(private)
        except (OSError, ValueError, TypeError) as error:
            log.error("a key of TUF_ONLINE_KEYS cannot be read: %s", error)
            continue
        if known := named.get(signer.public_key.keyval.get("public")):
            return CryptoSigner(private, known)
    return None


def _keep(repository: TufRepository, metadata: "Metadata[Any]", body: bytes) -> TufMetadata:
    signed = metadata.signed
    return TufMetadata.objects.create(
        repository=repository,
        role=signed.type,
        version=signed.version,
        body=body.decode(),
        expires_at=signed.expires,
    )


def _ends(now: datetime, life: timedelta) -> datetime:
    return (now + life).astimezone(UTC).replace(microsecond=0)
