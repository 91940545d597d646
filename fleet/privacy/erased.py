"""Names that were erased: data that comes late, or again, with one of them is kept without it, and without places."""

import hashlib
import hmac
from typing import Any

from django.conf import settings

from fleet.models import ErasedName, Vehicle

_KEYS = frozenset({"driver_id", "driver", "driverId", "driver_name"})


def digest_of(fleet_id: int, name: str) -> str:
    key = hashlib.sha256(b"erased name" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, f"{fleet_id}:{name}".encode(), hashlib.sha256).hexdigest()


def remember(fleet_id: int, name: str) -> None:
    ErasedName.objects.get_or_create(fleet_id=fleet_id, digest=digest_of(fleet_id, name))


def is_erased(fleet_id: int, name: str) -> bool:
    return bool(name) and ErasedName.objects.filter(fleet=fleet_id, digest=digest_of(fleet_id, name)).exists()


def nameless(vehicle_id: int, content: Any) -> Any:
    """What a device tells, without the erased driver it names. No query where it names none."""
    match content:
        case dict():
            return {key: _named(vehicle_id, key, inner) for key, inner in content.items()}
        case list():
            return [nameless(vehicle_id, inner) for inner in content]
    return content


def _named(vehicle_id: int, key: str, value: Any) -> Any:
    if key not in _KEYS or not isinstance(value, str):
        return nameless(vehicle_id, value)
    fleet = Vehicle.objects.filter(pk=vehicle_id).values_list("fleet", flat=True).first()
    return "" if fleet and is_erased(fleet, value) else value
