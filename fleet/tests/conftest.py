"""A fleet with an owner, a viewer and three vehicles, and somebody who belongs to another fleet."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from fleet.models import Fleet, Membership, Role, User, Vehicle, VehicleState

BACKEND = "django.contrib.auth.backends.ModelBackend"
Queries = Any


@dataclass
class People:
    owner: User
    viewer: User
    outsider: User


@pytest.fixture
def fleet(db: None) -> Fleet:
    return Fleet.objects.create(slug="north", name="North", time_zone="Europe/Berlin")


@pytest.fixture
def people(fleet: Fleet) -> People:
    other = Fleet.objects.create(slug="south", name="South")
    found = [
        User.objects.create_user(f"{name}@example.com", "secret") for name in ("owner", "viewer", "outsider")
    ]
    owner, viewer, outsider = found
    Membership.objects.create(fleet=fleet, user=owner, role=Role.OWNER)
    Membership.objects.create(fleet=fleet, user=viewer, role=Role.VIEWER)
    Membership.objects.create(fleet=other, user=outsider, role=Role.OWNER)
    return People(owner, viewer, outsider)


def report(vehicle: Vehicle, ago_s: float = 1, **values: float) -> VehicleState:
    """As if the vehicle had reported these values a moment ago."""
    at = timezone.now() - timedelta(seconds=ago_s)
    return VehicleState.objects.create(
        vehicle=vehicle,
        time=at,
        received_at=at,
        latitude_deg=values.get("latitude", 52.43),
        longitude_deg=values.get("longitude", 13.53),
        heading_deg=values.get("heading"),
        speed_kmh=values.get("speed"),
        battery_percent=values.get("battery"),
        values=values,
        reconstructed=["battery"],
    )


@pytest.fixture
def vehicles(fleet: Fleet) -> list[Vehicle]:
    """Moving, parked and never heard of."""
    rows = [
        Vehicle.objects.create(fleet=fleet, slug="van-1", name="Van 1", plate="B-AB 1", vin="WCV1"),
        Vehicle.objects.create(fleet=fleet, slug="van-2", name="Van 2", plate="B-AB 2", vin="WCV2"),
        Vehicle.objects.create(fleet=fleet, slug="car-3", name="Car 3"),
    ]
    report(rows[0], speed=42.0, battery=71.5, ignition=1.0, heading=90.0, power=-3.5)
    report(rows[1], speed=0.0, battery=15.0, ignition=0.0)
    return rows
