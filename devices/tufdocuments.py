"""Making TUF metadata where the private keys live. No database, no server: for the machine that releases.

Root says which keys speak for which role; targets lists the files with their lengths and hashes. Both are signed with
keys that never come near the server. Versions only grow.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Key, Metadata, Root, TargetFile, Targets
from tuf.api.serialization.json import JSONSerializer

ONLINE_ROLES = ("snapshot", "timestamp")


@dataclass(frozen=True, slots=True)
class RootWish:
    """Keys by role; a role that is left out keeps what it has. `online` signs snapshot and timestamp."""

    root: Sequence[Key] = ()
    targets: Sequence[Key] = ()
    online: Sequence[Key] = ()
    threshold: int = 1
    life: timedelta = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class TargetsWish:
    """`add`: (name, version, file); `remove`: paths as `name/version`."""

    add: Sequence[tuple[str, str, Path]] = ()
    remove: Sequence[str] = ()
    life: timedelta = field(default=timedelta(days=90))


def target_path(name: str, version: str) -> str:
    """By which a device asks for a release. The version as it was given: v2.1.0."""
    return f"{name}/{version}"


def next_root(
    before: Metadata[Root] | None, wish: RootWish, signers: Iterable[CryptoSigner]
) -> Metadata[Root]:
    """Signed with all the keys given: to change root's keys, with enough of the old and of the new ones."""
    root = deepcopy(before.signed) if before else Root(consistent_snapshot=True)
    wanted = {"root": wish.root, "targets": wish.targets, **dict.fromkeys(ONLINE_ROLES, wish.online)}
    for role, keys in wanted.items():
        if not keys:
            continue
        for known in list(root.roles[role].keyids):
            root.revoke_key(known, role)
        for key in keys:
            root.add_key(key, role)
        root.roles[role].threshold = wish.threshold if role == "root" else 1
    if before:
        root.version += 1
    root.expires = _ends(wish.life)
    return _signed(Metadata(root), signers)


def next_targets(
    before: Metadata[Targets] | None, wish: TargetsWish, signers: Iterable[CryptoSigner]
) -> Metadata[Targets]:
    """Raises KeyError for a path to remove that is not there, OSError for a file that cannot be read."""
    targets = deepcopy(before.signed) if before else Targets()
    for path in wish.remove:
        del targets.targets[path]
    for name, version, file in wish.add:
        path = target_path(name, version)
        targets.targets[path] = TargetFile.from_file(path, str(file), ["sha256"])
    if before:
        targets.version += 1
    targets.expires = _ends(wish.life)
    return _signed(Metadata(targets), signers)


def text_of(metadata: "Metadata[Any]") -> str:
    return metadata.to_bytes(JSONSerializer(compact=False)).decode() + "\n"


def new_key() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


def private_key(path: Path) -> CryptoSigner:
    """Raises OSError, ValueError."""
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} is no Ed25519 private key.")
    return CryptoSigner(key)


def public_pem(signer: CryptoSigner) -> str:
    private = serialization.load_pem_private_key(signer.private_bytes, None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def public_key(path: Path) -> Key:
    """Raises OSError, ValueError."""
    return SSlibKey.from_crypto(serialization.load_pem_public_key(path.read_bytes()))


def _signed(metadata: "Metadata[Any]", signers: Iterable[CryptoSigner]) -> "Metadata[Any]":
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata


def _ends(life: timedelta) -> datetime:
    return (datetime.now(UTC) + life).replace(microsecond=0)
