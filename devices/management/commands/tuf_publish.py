"""`manage.py tuf_publish FILE... [--fleet ID]`: take in signed root and targets metadata."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devices.tufrepository import UnacceptableError, publish
from fleet.audit import SYSTEM
from fleet.models import Fleet


class Command(BaseCommand):
    help = "Verify signed TUF metadata as a client would, and publish all of it or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", type=Path, nargs="+", help="In order: roots first.")
        parser.add_argument("--fleet", default="", help="Of this fleet; without, of the releases for all.")

    def handle(self, *args: Any, **options: Any) -> None:
        fleet = Fleet.objects.filter(slug=options["fleet"]).first() if options["fleet"] else None
        if options["fleet"] and fleet is None:
            raise CommandError(f"There is no fleet {options['fleet']}.")
        try:
            taken = publish(SYSTEM, fleet, [json.loads(path.read_bytes()) for path in options["files"]])
        except (OSError, ValueError) as error:
            raise CommandError(f"Cannot read it: {error}") from None
        except UnacceptableError as error:
            raise CommandError(f"Nothing was published: {error}") from None
        self.stdout.write(f"Published {', '.join(taken) or 'nothing: it is there already'}.")
