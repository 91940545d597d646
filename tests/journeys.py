"""What is stored of a car's trips, and the state it was found by, for tests to compare."""

from datetime import datetime, timedelta
from typing import Any

from fleet.models import ChargingSession, Stop, Trip, TripHead
from tests.world import Car

_OWN = {"id", "vehicle", "fleet"}


def stored(car: Car) -> dict[str, list[dict[str, Any]]]:
    """Every column of every row but whose it is, in order of time."""
    return {
        model.__name__: list(
            model.objects.filter(vehicle=car.vehicle)
            .order_by("started_at")
            .values(*(f.attname for f in model._meta.local_concrete_fields if f.name not in _OWN))
        )
        for model in (Trip, Stop, ChargingSession)
    }


def head(car: Car) -> tuple[int, str, bool]:
    row = TripHead.objects.get(vehicle=car.vehicle)
    return row.reached_us, row.state, row.behind


def spans(car: Car, start: float) -> list[tuple[float, float]]:
    """Begin and end of the trips, in seconds after `start`."""
    rows = Trip.objects.filter(vehicle=car.vehicle).order_by("started_at")
    return [(row.started_at.timestamp() - start, row.ended_at.timestamp() - start) for row in rows]


def make_trip(car: Car, end: datetime, minutes: float = 30, **values: Any) -> Trip:
    """A detected trip without records, and the stop before it."""
    start = end - timedelta(minutes=minutes)
    whose = {"fleet": car.vehicle.fleet, "vehicle": car.vehicle}
    Stop.objects.create(started_at=start - timedelta(hours=1), ended_at=start, duration_s=3600.0, **whose)
    usual: dict[str, Any] = {
        "duration_s": minutes * 60,
        "distance_m": 12_000.0,
        "distance_source": "speed",
        "moving_s": minutes * 50,
        "idle_s": minutes * 10,
        "settled_at": end,
    }
    return Trip.objects.create(
        started_at=start, ended_at=end, middle_at=start + (end - start) / 2, **whose, **(usual | values)
    )
