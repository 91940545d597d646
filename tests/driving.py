"""Driving events for tests: a fleet whose driving is judged, and what was found of a car."""

from typing import Any

from fleet.aggregation.rollups import Touch, touch
from fleet.models import DrivingEvent, DrivingSettings, Part, TouchedDay
from telemetry.derivation import driving_anew
from tests.drives import START
from tests.world import Car


def judge(car: Car, **limits: Any) -> DrivingSettings:
    """The car's fleet has limits from now on; what is stored by then is judged too."""
    driving_anew.take_up()
    found = DrivingSettings.objects.get(fleet=car.vehicle.fleet)
    for name, value in limits.items():
        setattr(found, name, value)
    found.save()
    return found


def due_now() -> None:
    """What is summed up now and then is summed up at once."""
    later = TouchedDay.objects.filter(slot__gt=1)
    touch([Touch(row.vehicle_id, Part(row.part), row.day, row.fleet_id) for row in later])
    later.delete()


def events_of(car: Car) -> list[dict[str, Any]]:
    """Everything about a car's events that must not depend on how its records came."""
    columns = [
        field.attname
        for field in DrivingEvent._meta.concrete_fields
        if field.attname not in {"id", "dismissal_id", "driver_id"}
    ]
    return list(
        DrivingEvent.objects.filter(vehicle=car.vehicle).order_by("started_at", "kind").values(*columns)
    )


def brief(car: Car) -> list[tuple[str, float, float]]:
    """Kind, begin and end in seconds after START."""
    return [
        (
            row["kind"],
            round(row["started_at"].timestamp() - START, 3),
            round(row["ended_at"].timestamp() - START, 3),
        )
        for row in events_of(car)
    ]
