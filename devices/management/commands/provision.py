"""`manage.py provision FLEET VEHICLE`: from nothing to a token a device can use."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from devices.provision import VehicleFacts, provision


class Command(BaseCommand):
    help = "Create the fleet, vehicle and device that are missing, and issue a token. It is shown only here."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("fleet", help="the fleet's name, e.g. demo")
        parser.add_argument("vehicle", help="the vehicle's name in the fleet, e.g. van-1")
        parser.add_argument("--vin")
        parser.add_argument("--plate", help="licence plate")
        parser.add_argument("--name", help="the vehicle's name for people")
        parser.add_argument("--token-name", default="provision", help="what the token is for")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        facts = VehicleFacts(vin=options["vin"], plate=options["plate"], name=options["name"])
        try:
            made = provision(options["fleet"], options["vehicle"], facts, options["token_name"])
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        if options["json"]:
            self.stdout.write(json.dumps(made.as_dict()))
        else:
            for name, value in made.as_dict().items():
                self.stdout.write(f"{name:8} {value}")
