"""Ed25519 signatures of model files: over the 32 bytes of the file's SHA-256, so that a car can check as it reads.

The private key stays with who releases; the server only knows public keys (MODEL_PUBLIC_KEYS).
"""

import base64
import binascii
import hashlib
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

_BLOCK = 1024 * 1024


def digest_of(file: IO[bytes] | Any) -> bytes:
    """SHA-256 of the whole file, a block at a time."""
    sha256 = hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK):
        sha256.update(block)
    file.seek(0)
    return sha256.digest()


def sign(key: Ed25519PrivateKey, digest: bytes) -> str:
    return base64.b64encode(key.sign(digest)).decode()


def public_text(key: Ed25519PublicKey) -> str:
    """As it is pinned: 32 bytes in base64."""
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def key_id(public: str) -> str:
    return hashlib.sha256(base64.b64decode(public)).hexdigest()[:16]


def signer_of(digest: bytes, signature: str) -> str | None:
    """The id of the pinned key that made the signature; None when none did."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None
    for public in settings.MODEL_PUBLIC_KEYS:
        try:
            Ed25519PublicKey.from_public_bytes(base64.b64decode(public)).verify(raw, digest)
        except InvalidSignature:
            continue
        return key_id(public)
    return None
