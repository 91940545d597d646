"""Changing what a fleet counts as a driving event, recorded in the audit trail. All its events are then found anew."""

from typing import Any

from django.db import transaction

from fleet.aggregation import rebuild
from fleet.audit import Actor, record
from fleet.models import DrivingSettings, Fleet

FIELDS = (
    "acceleration_m_s2", "braking_m_s2", "cornering_m_s2", "speed_limit_kmh", "speeding_from_s", "idling_from_s",
    "night_from", "night_to",
)  # fmt: skip


def of(fleet: Fleet) -> DrivingSettings:
    """As they stand, or the usual ones of a fleet that has none yet."""
    return DrivingSettings.objects.filter(pk=fleet.pk).first() or DrivingSettings(fleet=fleet)


def change(actor: Actor, fleet: Fleet, wanted: dict[str, Any]) -> DrivingSettings:
    """`wanted`: some of FIELDS. Raises ValidationError by field name."""
    with transaction.atomic():
        DrivingSettings.objects.get_or_create(fleet=fleet)
        found = DrivingSettings.objects.select_for_update().get(pk=fleet.pk)
        before = facts(found)
        for name in FIELDS:
            setattr(found, name, wanted.get(name, before[name]))
        found.full_clean()
        after = facts(found)
        if after != before:
            found.version += 1
            found.save()
            record(actor, "driving_settings.changed", found, fleet, (before, after))
            rebuild.ask_for([fleet.pk])  # the night may be another one
    return found


def facts(settings: DrivingSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in FIELDS}
