"""From nothing to a first record, as a manager and a device live it; what goes wrong is told while they wait."""

import re
import time
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from devices import refusals
from devices.auth import tokens
from devices.models import Device, DeviceToken, RegistrationSecret
from fleet.models import AuditEntry, Fleet, Role, Vehicle
from tests import asgi
from tests.deliveries import drain_all
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db
TOKEN = re.compile(r"cv[yr]_[0-9a-f]{8}_[\w-]{43}")
HX = {"HX-Request": "true"}


@pytest.fixture
def manager(db: None) -> Client:
    Fleet.objects.create(slug="acme", name="Acme")
    client = Client()
    person = make_person("ann@example.com", "acme", Role.MANAGER)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def text(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.status_code
    return str(response.content.decode())


def add(manager: Client, **fields: str) -> Any:
    return manager.post("/devices/new", {"fleet": "acme", **fields})


def send(token: str, **body: Any) -> int:
    content = {"timestamp": time.time(), "speed": 3, **body}
    headers = {"authorization": f"Bearer {token}"}
    return (
        Client().post("/api/telemetry", content, content_type="application/json", headers=headers).status_code
    )


def waiting(manager: Client, device: str, seen: str = "") -> str:
    answer = manager.get(f"/devices/acme/{device}/arriving", {"seen": seen}, headers=HX)
    return "" if answer.status_code == 204 else text(answer)


def test_from_nothing_to_the_first_record(manager: Client) -> None:
    answer = add(manager, new_name="Van Nine", vin="vnine1", plate="B-NI 9")
    page = text(answer)
    assert "no-store" in answer["Cache-Control"]
    [token] = set(TOKEN.findall(page))
    vehicle, device = Vehicle.objects.get(), Device.objects.get()
    assert (vehicle.slug, vehicle.vin, device.slug) == ("van-nine", "VNINE1", "acme-van-nine")
    assert "http://testserver/api/telemetry" in page and "car-data" in page and "--vin VNINE1" in page
    first = waiting(manager, device.slug)
    assert "Its token has not been used yet" in first and "every 2s" in first
    seen = re.search(r"seen=([^\"&]*)\"", first)
    assert seen and not waiting(manager, device.slug, seen[1])  # nothing new: nothing is swapped
    assert send(token) == 200
    assert "A record is committed" in waiting(manager, device.slug, seen[1])
    drain_all()
    done = waiting(manager, device.slug)
    assert (
        "First record received at" in done
        and "1 record so far" in done
        and vehicle.get_absolute_url() in done
    )
    assert not TOKEN.findall(text(manager.get(f"/devices/acme/{device.slug}/waiting")))
    told = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert told == ["vehicle.added", "device.added", "token.issued"]


def test_what_is_refused_is_told(manager: Client) -> None:
    [token] = set(TOKEN.findall(text(add(manager, new_name="Van", vin="VAN1"))))
    assert send(token, vin="OTHER1") == 404
    page = waiting(manager, "acme-van")
    assert "OTHER1" in page and "the VIN VAN1" in page and "/vehicles/acme/van/edit" in page
    refusals.forget()
    assert send(token, speed="fast") == 400
    assert "could not be read" in waiting(manager, "acme-van")
    assert Client().post(
        "/api/car-data", {"license_plate": "X"}, content_type="application/json", headers={"x-api-key": token}
    ).status_code == 404  # fmt: skip
    assert send(token[:-3]) == 401
    assert "A wrong token" in waiting(manager, "acme-van")
    assert send("cvy_00000000_nobody") == 401
    time.sleep(0.01)
    assert send(token) == 200
    drain_all()
    done = waiting(manager, "acme-van")
    assert "First record received" in done and "Refused" not in done


@pytest.mark.django_db(transaction=True)
def test_the_fast_lane_tells_too(car: Car) -> None:
    client = asgi.Client(asgi.application, {"authorization": f"Bearer {car.token}"})
    headers = {"content-type": "application/json"}
    assert client.request("POST", "/api/telemetry", b'{"timestamp": 1, "vin": "X"}', headers).status == 404
    wrong = asgi.Client(asgi.application, {"authorization": f"Bearer {car.token[:-1]}"})
    assert wrong.request("POST", "/api/telemetry", b"{}", headers).status == 401
    deadline = time.monotonic() + 5
    while not (refusals.newest(car.device.pk) and refusals.newest_of_tokens([car.token_row.prefix])):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    found = refusals.newest(car.device.pk)
    assert found and found.status == 404 and "vin" in found.reason


def test_a_device_is_told_a_refusal_once_a_second(car: Car) -> None:
    for number in range(3):
        refusals.note(car.device.pk, 400, f"reason {number}")
    found = refusals.newest(car.device.pk)
    assert found and found.reason == "reason 0"


def test_for_a_vehicle_that_is_there(manager: Client) -> None:
    Vehicle.objects.create(fleet=Fleet.objects.get(), slug="bus", name="Bus")
    text(add(manager, vehicle="bus", name="Second box"))
    device = Device.objects.get()
    assert (device.vehicle.slug, device.name) == ("bus", "Second box")
    text(add(manager, vehicle="bus"))
    assert set(Device.objects.values_list("slug", flat=True)) == {"acme-bus", "acme-bus-2"}


def test_all_or_nothing(manager: Client) -> None:
    make_car("rival", "tram", "TAKEN1")
    before = (Vehicle.objects.count(), Device.objects.count(), DeviceToken.objects.count())
    assert "Another vehicle has this VIN" in text(add(manager, new_name="Van", vin="TAKEN1"), 400)
    assert "Name the new vehicle" in text(add(manager), 400)
    assert "not a vehicle of the fleet" in text(add(manager, vehicle="tram"), 400)
    assert "Up to 17 letters" in text(add(manager, new_name="Van", vin="_!"), 400)
    assert add(manager, new_name="Van").status_code == 200
    assert manager.post("/devices/new", {"fleet": "rival", "new_name": "Van"}).status_code == 400
    after = (Vehicle.objects.count(), Device.objects.count(), DeviceToken.objects.count())
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]


class TestRegistrationSecrets:
    URL = "/fleets/acme/registration"

    def register(self, secret: str, name: str) -> Any:
        body = {"device_id": name, "registration_secret": secret}
        return Client().post("/api/v1/devices", body, content_type="application/json")

    def test_made_used_and_revoked(self, manager: Client) -> None:
        answer = manager.post(self.URL, {"do": "issue", "name": "Batch of May", "limit": "2"})
        [secret] = set(TOKEN.findall(text(answer)))
        assert "no-store" in answer["Cache-Control"] and not TOKEN.findall(text(manager.get(self.URL)))
        assert self.register(secret, "box-1").status_code == 201
        assert "1 of 2" in text(manager.get(self.URL))
        prefix = RegistrationSecret.objects.get().prefix
        for _ in range(2):
            assert manager.post(self.URL, {"do": "revoke", "secret": prefix}).status_code == 302
        assert self.register(secret, "box-2").status_code == 401
        assert Device.objects.get().external_id == "box-1"
        told = list(AuditEntry.objects.filter(action__startswith="secret").values_list("action", flat=True))
        assert sorted(told) == ["secret.issued", "secret.revoked"]

    def test_what_is_refused(self, manager: Client) -> None:
        assert "Say which devices" in text(manager.post(self.URL, {"name": " "}), 400)
        for limit in ("0", "-1", "x", "9999999"):
            assert "a number from 1" in text(manager.post(self.URL, {"name": "x", "limit": limit}), 400)
        rival, _ = RegistrationSecret.objects.issue(
            Fleet.objects.create(slug="rival", name="Rival"), "theirs"
        )
        assert manager.post(self.URL, {"do": "revoke", "secret": rival.prefix}).status_code == 404
        assert manager.get("/fleets/rival/registration").status_code == 404
        rival.refresh_from_db()
        assert rival.revoked_at is None


def test_a_retired_vehicle_stops_its_devices(manager: Client) -> None:
    [token] = set(TOKEN.findall(text(add(manager, new_name="Van"))))
    assert send(token) == 200
    Vehicle.objects.update(retired_at=timezone.now())
    tokens.clear()
    assert send(token) == 401
    Vehicle.objects.update(retired_at=None)
    tokens.clear()
    assert send(token) == 200
