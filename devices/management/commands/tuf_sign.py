"""`manage.py tuf_sign key|root|targets|cosign`: TUF metadata, made and signed where the private keys live.

Works on files only, in a folder that holds every version; no database, no server.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata

from devices import tufdocuments as documents


class Command(BaseCommand):
    help = "Make Ed25519 keys and signed root and targets metadata. Run it where the keys are, not on the server."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        key = acts.add_parser("key", help="Make a key: FILE (private) and FILE.pub (public).")
        key.add_argument("file", type=Path)
        root = acts.add_parser(
            "root", help="Write the next N.root.json; roles that are left out keep their keys."
        )
        for role in ("root", "targets", "online"):
            root.add_argument(f"--{role}", type=Path, nargs="+", default=[], metavar="PUBLIC")
        root.add_argument("--threshold", type=int, default=1, help="Keys that must sign a root.")
        targets = acts.add_parser("targets", help="Write the next N.targets.json.")
        targets.add_argument(
            "--add", nargs=3, action="append", default=[], metavar=("NAME", "VERSION", "FILE")
        )
        targets.add_argument("--remove", nargs="+", default=[], metavar="NAME/VERSION")
        for each, days in ((root, 365), (targets, 90)):
            each.add_argument("--dir", type=Path, required=True, help="Where the versions are kept.")
            each.add_argument("--days", type=int, default=days, help="Until it expires.")
            each.add_argument("--sign", type=Path, nargs="+", required=True, metavar="KEY")
        cosign = acts.add_parser("cosign", help="Add signatures to a file.")
        cosign.add_argument("file", type=Path)
        cosign.add_argument("--sign", type=Path, nargs="+", required=True, metavar="KEY")

    def handle(self, *args: Any, **options: Any) -> None:
        act: Callable[[dict[str, Any]], None] = getattr(self, f"_{options['act']}")
        try:
            act(options)
        except (OSError, ValueError, RepositoryError) as error:
            raise CommandError(f"Nothing was written: {error}") from None
        except KeyError as error:
            raise CommandError(f"Nothing was written: there is no {error} to remove.") from None

    def _key(self, options: dict[str, Any]) -> None:
        path: Path = options["file"]
        signer = documents.new_key()
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(signer.private_bytes)
        path.with_name(path.name + ".pub").write_text(documents.public_pem(signer))
        self.stdout.write(f"{path} is private, {path}.pub is public; key id {signer.public_key.keyid}")

    def _root(self, options: dict[str, Any]) -> None:
        keys = {
            role: [documents.public_key(path) for path in options[role]]
            for role in ("root", "targets", "online")
        }
        before = _newest(options["dir"], "root")
        if before is None and not all(keys.values()):
            raise CommandError("The first root names keys for --root, --targets and --online.")
        wish = documents.RootWish(
            **keys, threshold=options["threshold"], life=timedelta(days=options["days"])
        )
        self._write(options["dir"], documents.next_root(before, wish, _signers(options)))

    def _targets(self, options: dict[str, Any]) -> None:
        wish = documents.TargetsWish(
            [(name, version, Path(file)) for name, version, file in options["add"]],
            options["remove"],
            timedelta(days=options["days"]),
        )
        before = _newest(options["dir"], "targets")
        self._write(options["dir"], documents.next_targets(before, wish, _signers(options)))

    def _cosign(self, options: dict[str, Any]) -> None:
        metadata: Metadata[Any] = Metadata.from_file(str(options["file"]))
        for signer in _signers(options):
            metadata.sign(signer, append=True)
        options["file"].write_text(documents.text_of(metadata))
        self.stdout.write(f"{options['file']}: {len(metadata.signatures)} signatures")

    def _write(self, folder: Path, metadata: "Metadata[Any]") -> None:
        path = folder / f"{metadata.signed.version}.{metadata.signed.type}.json"
        path.write_text(documents.text_of(metadata))
        self.stdout.write(
            f"{path}: {len(metadata.signatures)} signatures, until {metadata.signed.expires:%Y-%m-%d}"
        )


def _signers(options: dict[str, Any]) -> list[CryptoSigner]:
    return [documents.private_key(path) for path in options["sign"]]


def _newest(folder: Path, role: str) -> "Metadata[Any] | None":
    versions = [path.name.partition(".")[0] for path in folder.glob(f"*.{role}.json")]
    newest = max((int(version) for version in versions if version.isdigit()), default=None)
    return None if newest is None else Metadata.from_file(str(folder / f"{newest}.{role}.json"))
