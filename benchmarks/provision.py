"""A fleet of cars with tokens and a member who is logged in, made by the product's own code.

    python -m benchmarks.provision COUNT

Runs with the environment of the stack under test; prints {"vehicles": [{"vin", "token"}...], "cookie": "..."}.
"""

import json
import os
import sys

import django

FLEET = "bench"


def main(count: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import transaction

    from devices.provision import VehicleFacts, provision

    call_command("migrate", verbosity=0, interactive=False)
    call_command(
        "shell", verbosity=0, command="from telemetry.tasks import keep_partitions; keep_partitions()"
    )
    with transaction.atomic():
        made = [
            provision(FLEET, f"car-{number}", VehicleFacts(vin=f"BENCH{number:012}"), "bench")
            for number in range(count)
        ]
    vehicles = [{"vin": one.vin, "token": one.token} for one in made]
    print(json.dumps({"vehicles": vehicles, "cookie": _session()}))


def _session() -> str:
    """The Cookie header of a viewer of the fleet."""
    from django.conf import settings
    from django.test import Client

    from fleet.models import Fleet, Membership, Role, User

    user = User.objects.create_user("bench@example.com", None)
    Membership.objects.create(fleet=Fleet.objects.get(slug=FLEET), user=user, role=Role.VIEWER)
    browser = Client()
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"


if __name__ == "__main__":
    main(int(sys.argv[1]))
