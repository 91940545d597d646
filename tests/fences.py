"""Geofences for tests, places in metres from a corner in Berlin, and what was made of a car's records."""

from math import cos, radians
from typing import Any

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.audit import Actor
from fleet.geofencing import geofences
from fleet.geofencing.fencerows import fence_of
from fleet.geofencing.presence import Position, Stay, Track, stays
from fleet.geofencing.shapes import DEGREE_M
from fleet.models import Geofence, Placed, Visit
from telemetry.derivation.positions import PLACES, positions_of
from telemetry.derivation.readback import after
from telemetry.models import TelemetryRecord
from tests.drives import START
from tests.rules import LONG_AGO, at
from tests.world import Car

LATITUDE, LONGITUDE = 52.43, 13.53
METRES_EAST = 1 / (DEGREE_M * cos(radians(LATITUDE)))


def place(east_m: float, north_m: float = 0.0) -> list[float]:
    """Longitude and latitude."""
    return [LONGITUDE + east_m * METRES_EAST, LATITUDE + north_m / DEGREE_M]


def square(side_m: float, east_m: float = 0.0) -> dict[str, Any]:
    """A Polygon whose south-western corner lies so far east."""
    corners = [(0, 0), (side_m, 0), (side_m, side_m), (0, side_m), (0, 0)]
    return {"type": "Polygon", "coordinates": [[place(east_m + x, y) for x, y in corners]]}


def circle(radius_m: float, east_m: float = 0.0) -> dict[str, Any]:
    """The fields of a circle."""
    return {
        "kind": "circle", "geometry": {"type": "Point", "coordinates": place(east_m)}, "radius_m": radius_m,
    }  # fmt: skip


def make_fence(car: Car, **fields: Any) -> Geofence:
    """For the car's fleet, for records of any age; a circle of 100 m around the corner if nothing else is said."""
    told = {"name": f"Fence {Geofence.objects.count() + 1}", "hysteresis_m": 0.0, **circle(100.0), **fields}
    fence = Geofence(fleet=car.vehicle.fleet, **told)
    fence.clean()
    geofences.add(Actor("a test"), car.vehicle.fleet, geofences.Wish(fence))
    Geofence.objects.filter(pk=fence.pk).update(since=LONG_AGO, replay_from=None)
    fence.refresh_from_db()
    return fence


def going(*east_m: float, every_s: float = 10.0, start: float = 0.0, north_m: float = 1.0) -> list[Telemetry]:
    """Records on a line from west to east, so many metres from the corner."""
    found = []
    for step, metres in enumerate(east_m):
        longitude, latitude = place(metres, north_m)
        found.append(at(start + step * every_s, latitude=latitude, longitude=longitude))
    return found


def visits(fence: Geofence) -> list[tuple[float, float | None]]:
    """Begin and end in seconds after START, of confirmed ones."""
    rows = Visit.objects.filter(geofence=fence, confirmed=True).order_by("vehicle", "entered_at")
    return [
        (
            round(row.entered_at.timestamp() - START, 1),
            round(row.left_at.timestamp() - START, 1) if row.left_at else None,
        )
        for row in rows
    ]


def pictured(car: Car) -> list[Any]:
    """Everything about a car's visits that must not depend on how its records came."""
    columns = (
        "geofence", "entered_at", "entry", "left_at", "exit", "first_at", "last_at", "border_at", "dwelled_at",
        "on_schedule", "confirmed", "geofence_version",
    )  # fmt: skip
    rows = Visit.objects.filter(vehicle=car.vehicle).order_by("geofence", "entered_at")
    place = Placed.objects.filter(vehicle=car.vehicle)
    return [list(rows.values(*columns)), list(place.values("time_us", "latitude_deg", "longitude_deg"))]


def expected(fence: Geofence, car: Car) -> list[Stay]:
    """By the pure function, of all stored positions in order."""
    known = fence_of(Geofence.objects.select_related("fleet").get(pk=fence.pk))
    track: list[Position] = list(positions_of(after(PLACES, car.vehicle.pk, 0)))
    found, now = stays(Track(known.shape, track))
    ended = [stay for stay in found if stay.lasted(known.min_stay_us)]
    return [*ended, *([now] if now else [])]


def records(car: Car) -> int:
    return TelemetryRecord.objects.filter(vehicle=car.vehicle).count()
