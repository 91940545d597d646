"""A device goes from one vehicle to another: history stays, nothing waits for it, nothing known is carried over."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from devices import commands
from devices.auth import tokens
from devices.commands import Order, RefusedError
from devices.models import Command, Device, State
from fleet.audit import Actor
from fleet.models import AuditEntry, Role
from telemetry.models import Stream, TelemetryRecord
from telemetry.moving import QUIET, move
from tests.deliveries import drain_all
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db
ANN = Actor("ann")


@pytest.fixture
def bus(car: Car) -> Car:
    return make_car("demo", "bus")


def send(car: Car, **body: Any) -> int:
    content = {"timestamp": time.time(), **body}
    headers = {"authorization": f"Bearer {car.token}"}
    return (
        Client().post("/api/telemetry", content, content_type="application/json", headers=headers).status_code
    )


def quieten() -> None:
    Stream.objects.update(updated_at=timezone.now() - QUIET - timedelta(seconds=1))


def device(car: Car) -> Device:
    return Device.objects.select_related("vehicle__fleet").get(pk=car.device.pk)


def test_moved_when_it_is_quiet(car: Car, bus: Car) -> None:
    assert send(car, speed=50, odometer=1234) == 200
    with pytest.raises(RefusedError, match="sending"):
        move(ANN, device(car), bus.vehicle)  # in the inbox
    drain_all()
    with pytest.raises(RefusedError, match="sending"):
        move(ANN, device(car), bus.vehicle)  # a moment ago
    quieten()
    commands.send(ANN, device(car), Order("honk"))
    move(ANN, device(car), bus.vehicle)
    assert (
        Command.objects.get().state == State.CANCELLED
        and not Stream.objects.filter(device=car.device).exists()
    )
    tokens.clear()
    assert send(car, speed=7) == 200
    drain_all()
    assert TelemetryRecord.objects.get(vehicle=car.vehicle).odometer_km == 1234
    after = TelemetryRecord.objects.get(vehicle=bus.vehicle)
    assert (after.speed_kmh, after.odometer_km) == (7, None)  # what the first vehicle had fills in nothing
    entry = AuditEntry.objects.get(action="device.moved")
    assert entry.after == {"vehicle": "bus", "commands_cancelled": 1}
    move(ANN, device(car), bus.vehicle)
    assert AuditEntry.objects.filter(action="device.moved").count() == 1


def test_it_stays_in_its_fleet_and_in_service(car: Car, bus: Car) -> None:
    with pytest.raises(RefusedError, match="within its fleet"):
        move(ANN, device(car), make_car("rival", "tram").vehicle)
    bus.vehicle.retired_at = timezone.now()
    bus.vehicle.save()
    with pytest.raises(RefusedError, match="retired"):
        move(ANN, device(car), bus.vehicle)


def test_in_the_browser(car: Car, bus: Car) -> None:
    client = Client()
    person = make_person("ann@example.com", "demo", Role.MANAGER)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    url = f"/devices/demo/{car.device.slug}/move"
    assert "Bus" not in (page := client.get(url).content.decode()) and ">bus" in page
    assert client.post(url, {"vehicle": "tram"}).status_code == 400
    assert client.post(url, {"vehicle": "bus"}).status_code == 302
    assert device(car).vehicle_id == bus.vehicle.pk
