"""`manage.py sign_model FILE --key KEYFILE`: sign a model file where the private key lives, which is not the server."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management.base import BaseCommand, CommandError

from devices.signatures import digest_of, public_text, sign


class Command(BaseCommand):
    help = "Print the signature of a model file; --new-key makes the key first."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?")
        parser.add_argument("--key", type=Path, required=True, help="PEM file of an Ed25519 private key.")
        parser.add_argument(
            "--new-key", action="store_true", help="Make the key file; it must not exist yet."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        key = _new_key(options["key"]) if options["new_key"] else _key_in(options["key"])
        if options["new_key"] or options["file"] is None:
            self.stdout.write(f"MODEL_PUBLIC_KEYS={public_text(key.public_key())}")
        if options["file"] is not None:
            try:
                with options["file"].open("rb") as file:
                    digest = digest_of(file)
            except OSError as error:
                raise CommandError(f"Cannot read the file: {error}") from None
            self.stdout.write(f"sha256    {digest.hex()}\nsignature {sign(key, digest)}")


def _new_key(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise CommandError(f"{path} exists: a key is never overwritten.") from None
    path.write_bytes(pem)
    return key


def _key_in(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise CommandError(f"Cannot read the key: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise CommandError(f"{path} is no Ed25519 private key.")
    return key
