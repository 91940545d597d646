"""`manage.py add_release NAME VERSION FILE --signature TEXT`: take in a signed model release."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.management.base import BaseCommand, CommandError

from devices.releases import ExistsError, Facts, add_release
from fleet.audit import SYSTEM
from fleet.models import Fleet


class Command(BaseCommand):
    help = "Verify a model file against the pinned keys and offer it to devices."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("version_", metavar="version")
        parser.add_argument("file", type=Path)
        parser.add_argument("--signature", required=True, help="As sign_model printed it.")
        parser.add_argument("--fleet", default="", help="Only for this fleet.")
        parser.add_argument("--targets", type=Path, help="Signed TUF targets that list it.")
        parser.add_argument("--notes", default="")
        parser.add_argument("--compatibility", type=json.loads, default={}, help="JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        fleet = Fleet.objects.filter(slug=options["fleet"]).first() if options["fleet"] else None
        if options["fleet"] and fleet is None:
            raise CommandError(f"There is no fleet {options['fleet']}.")
        try:
            targets = json.loads(options["targets"].read_bytes()) if options["targets"] else None
        except (OSError, ValueError) as error:
            raise CommandError(f"Cannot read the targets: {error}") from None
        facts = Facts(
            options["name"],
            options["version_"],
            options["signature"],
            options["notes"],
            options["compatibility"],
            fleet,
            targets,
        )
        try:
            with options["file"].open("rb") as file:
                release = add_release(SYSTEM, facts, File(file))
        except OSError as error:
            raise CommandError(f"Cannot read the file: {error}") from None
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        except ExistsError:
            raise CommandError("This version exists, and a release never changes.") from None
        self.stdout.write(f"{release}: {release.size_bytes} bytes, signed by key {release.key_id}")
