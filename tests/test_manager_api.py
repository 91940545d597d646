"""What managers do in the browser, done over the API: registration, service, escalation, choices, withdrawal."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from devices.auth import tokens
from devices.models import Device, ModelRelease
from fleet.models import AuditEntry, Fleet, NotificationChoice, Role, Vehicle
from telemetry.models import Stream
from tests.world import Car, make_car, make_person

FLEET = "/api/v1/fleet/own"
pytestmark = pytest.mark.django_db


@pytest.fixture
def car() -> Car:
    return make_car("own", "van")


@pytest.fixture
def owner(car: Car) -> Client:
    client = Client()
    client.force_login(
        make_person("owner@example.com", "own", Role.OWNER),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def send(client: Client, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    reply = getattr(client, method)(path, body, content_type="application/json", headers=headers)
    return reply.status_code, reply.json() if reply.content else None


def test_a_device_registers_with_a_secret_made_over_the_api(owner: Client) -> None:
    status, made = send(owner, "post", f"{FLEET}/registration-secrets", {"name": "batch 7", "limit": 1})
    assert status == 201 and made["secret"].startswith("cvr_") and made["uses"] == 0
    stranger = Client()
    bring = {"registration_secret": made["secret"]}
    assert send(stranger, "post", "/api/v1/devices", {"device_id": "cam-1", **bring})[0] == 201
    assert send(stranger, "post", "/api/v1/devices", {"device_id": "cam-2", **bring})[0] == 401, "the limit"
    listed = send(owner, "get", f"{FLEET}/registration-secrets")[1]["results"]
    assert [(row["id"], row["uses"]) for row in listed] == [(made["id"], 1)] and "secret" not in listed[0]
    assert send(owner, "delete", f"{FLEET}/registration-secrets/{made['id']}") == (204, None)
    assert send(owner, "get", f"{FLEET}/registration-secrets")[1]["results"][0]["revoked_at"]


def test_a_repeated_request_makes_one_secret_and_shows_it_once(owner: Client) -> None:
    first, again = (
        send(owner, "post", f"{FLEET}/registration-secrets", {"name": "x"}, **{"Idempotency-Key": "k"})[1]
        for _ in range(2)
    )
    assert again == first | {"secret": None} and Fleet.objects.get().registration_secrets.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "x", "limit": 0}, "limit"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_nonsense_makes_no_secret(owner: Client, body: dict[str, Any], field: str) -> None:
    status, told = send(owner, "post", f"{FLEET}/registration-secrets", body)
    assert status == 400 and told["errors"][0]["field"] == field


def test_out_of_service_and_back(owner: Client, car: Car) -> None:
    own, path = Client(), f"/api/v1/devices/{car.device.slug}"
    key = {"Authorization": f"Bearer {car.token}"}
    assert send(own, "get", path, **key)[0] == 200
    for _ in range(2):
        status, told = send(owner, "post", f"{path}/retire")
        assert status == 200 and told["active"] is False
    tokens.clear()  # it is believed for some seconds
    assert send(own, "get", path, **key)[0] == 401
    assert send(owner, "post", f"{path}/revive")[1]["active"] is True
    assert send(own, "get", path, **key)[0] == 401, "the old tokens stay revoked"
    acts = AuditEntry.objects.filter(action__startswith="device.re").order_by("id")
    assert list(acts.values_list("action", flat=True)) == ["device.retired", "device.revived"]


def test_moved_while_it_is_silent(owner: Client, car: Car) -> None:
    path = f"/api/v1/devices/{car.device.slug}/move"
    bus = Vehicle.objects.create(fleet=car.vehicle.fleet, slug="bus", name="Bus", vin="WBA00000000000001")
    make_car("other", "tram")
    assert send(owner, "post", path, {"vehicle": "tram"})[1]["errors"][0]["field"] == "vehicle"
    Stream.objects.create(device=car.device, vehicle=car.vehicle, stream_id=1)
    status, told = send(owner, "post", path, {"vehicle": bus.vin})
    assert status == 409 and "switch it off" in told["detail"]
    Stream.objects.update(updated_at=timezone.now() - timedelta(minutes=1))
    status, told = send(owner, "post", path, {"vehicle": bus.vin})
    assert status == 200 and told["vehicle_id"] == "bus"
    assert Device.objects.get(pk=car.device.pk).vehicle == bus


def test_steps_of_escalation(owner: Client) -> None:
    wish = {"after_minutes": 15, "severity": "WARNING", "people": ["owner@example.com"]}
    status, made = send(owner, "post", f"{FLEET}/escalation-steps", wish)
    assert status == 201 and made == {"id": made["id"], "role": "", **wish}
    send(owner, "post", f"{FLEET}/escalation-steps", {"after_minutes": 5, "role": "owner"})
    listed = send(owner, "get", f"{FLEET}/escalation-steps")[1]["results"]
    assert [(row["after_minutes"], row["severity"], row["role"]) for row in listed] == [
        (5, "CRITICAL", "owner"), (15, "WARNING", ""),
    ]  # fmt: skip
    status, told = send(
        owner, "post", f"{FLEET}/escalation-steps", {"after_minutes": 5, "people": ["x@example.com"]}
    )
    assert status == 400 and told["errors"][0]["field"] == "people"
    assert send(owner, "delete", f"{FLEET}/escalation-steps/{made['id']}") == (204, None)
    assert send(owner, "delete", f"{FLEET}/escalation-steps/{made['id']}")[0] == 404


def test_what_one_wants_to_hear(owner: Client) -> None:
    path = f"{FLEET}/notification-choice"
    usual = {"page": "everything", "email": "critical", "tell_resolved": False, "critical_breaks": True}
    assert send(owner, "get", path)[1] == usual | {"quiet_from": None, "quiet_to": None}
    assert not NotificationChoice.objects.exists(), "looking chooses nothing"
    wish = {"email": "nothing", "quiet_from": "22:00:00", "quiet_to": "06:30:00"}
    assert send(owner, "patch", path, wish) == (200, usual | wish)
    assert send(owner, "get", path)[1] == usual | wish
    status, told = send(owner, "patch", path, {"quiet_to": None})
    assert status == 400 and told["errors"][0]["field"] == "quiet_to"
    assert send(owner, "patch", path, {"email": "sometimes"})[0] == 400
    assert send(owner, "get", path)[1]["quiet_to"] == "06:30:00", "nothing half-done"


def test_a_release_is_withdrawn_for_good(
    owner: Client, car: Car, django_capture_on_commit_callbacks: Any
) -> None:
    stored = default_storage.save("models/lanes", ContentFile(b"weights"))
    release = ModelRelease.objects.create(
        fleet=car.vehicle.fleet, name="lanes", version="v1.0", canonical="1", stored_as=stored,
        size_bytes=7, sha256="5" * 64,
    )  # fmt: skip
    path = "/api/v1/models/lanes/withdraw"
    assert send(owner, "post", path)[1]["errors"][0]["field"] == "version"
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            assert send(owner, "post", f"{path}?version=v1.0") == (204, None)
    release.refresh_from_db()
    assert release.withdrawn_at and not default_storage.exists(stored)
    assert send(owner, "get", "/api/v1/models")[1]["models"] == []
