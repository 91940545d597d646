"""What has to be there before a client of a document can speak: `python -m tests.documents.seed` prints it as JSON.

Names and addresses are those that the documents use in their examples.
"""

import json
import os
import sys
from typing import Any

import django

PASSWORD = "your_secure_device_password"
DEVICE_EMAIL, MANAGER_EMAIL, STAFF_EMAIL = "device@mashmarket.app", "manager@example.com", "staff@example.com"


def main() -> dict[str, Any]:
    from devices.models import Device
    from devices.provision import VehicleFacts, provision
    from fleet.models import Fleet, Membership, Role, User

    def token(fleet: str, vehicle: str, **facts: Any) -> str:
        return provision(fleet, vehicle, VehicleFacts(**facts), "documents").token

    tokens = {
        "c1": token("c1", "abc", plate="ABC-123"),
        "sentinel": token("fleet_alpha", "vehicle_001"),
        "cloud": token("tesla", "model-3", vin="5YJ3E1EA1KF000001"),
        "ev": token("ev", "ev_001"),
        "mash": token("mash", "rpi_gateway_001"),
    }
    gateway = Device.objects.get(vehicle__slug="rpi_gateway_001")
    gateway.account = User.objects.create_user(DEVICE_EMAIL, PASSWORD, is_device=True)
    gateway.save()
    manager = User.objects.create_user(MANAGER_EMAIL, PASSWORD)
    Membership.objects.bulk_create(
        Membership(fleet=fleet, user=manager, role=Role.OWNER) for fleet in Fleet.objects.all()
    )
    User.objects.create_superuser(STAFF_EMAIL, PASSWORD)
    return tokens


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    sys.stdout.write(json.dumps(main()))
