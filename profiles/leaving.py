"""What a person's export and erasure mean for their profile."""

from typing import Any

from fleet.audit import SYSTEM
from fleet.models import Driver
from fleet.privacy import erasing, personfile
from profiles import versions
from profiles.export import kept_of


def register() -> None:
    erasing.followers.drivers = [_erase]
    personfile.further.parts = [_part]


def _erase(driver: Driver) -> None:
    versions.erase(SYSTEM, driver)


def _part(driver: Driver) -> dict[str, Any]:
    return {"profile.json": kept_of(driver)}
