"""Sending again what was never acknowledged: a new command, one at a time; the first keeps its one delivery."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from devices import commands
from devices.commands import Order, RefusedError
from devices.models import Command, State
from devices.resending import resend
from fleet.audit import Actor
from fleet.models import AuditEntry, Role
from tests.world import Car, make_car, make_person

ANN = Actor("ann")


@pytest.fixture
def car(db: None) -> Car:
    return make_car("acme", "van")


def sent(car: Car, action: str = "start_heating", **parameters: Any) -> Command:
    return commands.send(ANN, car.device, Order(action, parameters or {"target_temp": 21}, 900))


def lost(car: Car) -> Command:
    """Delivered into nowhere, and given up."""
    command = sent(car)
    assert [each.pk for each in commands.take(car.device.pk, "poll")] == [command.pk]
    Command.objects.filter(pk=command.pk).update(due_at=timezone.now() - timedelta(seconds=1))
    return Command.objects.get(pk=command.pk)


def person(role: str = Role.MANAGER) -> Client:
    client = Client()
    user = make_person(f"{role}@example.com", "acme", role)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_new_one_of_the_same_content(car: Car) -> None:
    old = lost(car)
    new = resend(ANN, old)
    assert (new.action, new.parameters, new.resend_of) == (old.action, old.parameters, old)
    assert new.public_id != old.public_id and new.expires_at - new.created_at == timedelta(seconds=900)
    assert resend(ANN, old) == new  # pressed twice
    assert [each.pk for each in commands.take(car.device.pk, "car_data")] == [new.pk]
    assert commands.take(car.device.pk, "poll") == [] and resend(ANN, old) == new
    commands.acknowledge(car.device.pk, old.public_id, True)  # late, but it happened
    with pytest.raises(RefusedError, match="did it"):
        resend(ANN, old)
    assert AuditEntry.objects.filter(action="command.sent").count() == 2


def test_what_is_under_way_or_done_is_not_sent_again(car: Car) -> None:
    command = sent(car)
    with pytest.raises(RefusedError, match="queued"):
        resend(ANN, command)
    commands.take(car.device.pk, "poll")
    with pytest.raises(RefusedError, match="may still answer"):
        resend(ANN, command)
    commands.acknowledge(car.device.pk, command.public_id, True)
    with pytest.raises(RefusedError, match="did it"):
        resend(ANN, command)
    assert Command.objects.count() == 1


def test_a_dangerous_one_needs_approval_again(car: Car) -> None:
    ann, bob = (Actor(name, make_person(f"{name}@x.org", "acme", Role.MANAGER)) for name in ("ann", "bob"))
    command = commands.approve(bob, commands.send(ann, car.device, Order("unlock")))
    commands.take(car.device.pk, "poll")
    commands.acknowledge(car.device.pk, command.public_id, False, "jammed")
    assert resend(ann, command).state == State.AWAITING_APPROVAL


def test_goes_to_the_device_that_replaced_the_first(car: Car) -> None:
    old = lost(car)
    car.device.active = False
    car.device.save()
    with pytest.raises(RefusedError, match="no active device"):
        resend(ANN, old)
    fresh = car.vehicle.devices.create(slug="acme-van-2", name="new box")
    assert resend(ANN, old).device == fresh


def test_over_the_api(car: Car) -> None:
    old, manager = lost(car), person()
    url = f"/api/v1/commands/{old.public_id}"
    assert manager.get(url).json()["state"] == "unacknowledged"
    first = manager.post(f"{url}/resend")
    assert first.status_code == 201 and first.json()["resend_of"] == str(old.public_id)
    again = manager.post(f"{url}/resend")
    assert again.status_code == 200 and again.json()["id"] == first.json()["id"]
    assert first["Location"] == f"/api/v1/commands/{first.json()['id']}"
    refused = manager.post(f"/api/v1/commands/{first.json()['id']}/resend")
    assert refused.status_code == 409 and "queued" in refused.json()["detail"]
    assert person(Role.VIEWER).post(f"{url}/resend").status_code == 403


def test_the_pages_say_so_and_offer_it(car: Car) -> None:
    old, manager, viewer = lost(car), person(), person(Role.VIEWER)
    page = manager.get("/commands").content.decode()
    assert "Delivered but never acknowledged" in page and "Send again" in page
    assert "Send again" not in viewer.get("/commands").content.decode()
    panel = manager.get("/vehicles/acme/van/commands").content.decode()
    assert f'id="resend-{old.pk}"' in panel
    url = f"/vehicles/acme/van/commands/{old.public_id}"
    assert viewer.post(url, {"do": "resend"}).status_code == 403
    assert manager.post(url, {"do": "resend", "back": "list"})["Location"] == "/commands"
    part = manager.post(url, {"do": "resend"}, headers={"HX-Request": "true"}).content.decode()
    assert "in place of the one of" in part and Command.objects.filter(resend_of=old).count() == 1


def test_the_list_narrows_to_vehicles_and_refreshes(car: Car) -> None:
    manager, bus = person(), make_car("acme", "bus")
    sent(car)
    sent(bus)
    page = manager.get("/commands?vehicle=bus").content.decode()
    assert page.count('class="order"') == 1 and 'data-hints="commands_changed"' in page
    assert 'hx-get="/commands?vehicle=bus"' in page
    part = manager.get("/commands?vehicle=van", headers={"HX-Request": "true"}).content.decode()
    assert part.count('class="order"') == 1 and "<html" not in part
    assert "No command matches" in manager.get("/commands?vehicle=tram").content.decode()
    lines = manager.get("/commands?vehicle=bus&export=csv").content.decode().splitlines()
    assert len(lines) == 2 and ",bus,acme," in lines[1]
    assert "data-hints" not in manager.get("/commands?before=999999").content.decode()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one() -> None:
    car = make_car("acme", "van")
    old = lost(car)
    barrier, made = threading.Barrier(4), []

    def press() -> None:
        barrier.wait()
        made.append(resend(ANN, old).pk)
        connection.close()

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4 and len(set(made)) == 1
