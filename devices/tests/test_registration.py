"""Devices that register themselves, and managers who add them."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from devices.models import Device, DeviceToken, RegistrationSecret
from fleet.models import AuditEntry, Fleet, Kind, Role, User, Vehicle
from tests.world import make_car, make_person

GATEWAY = {"device_id": "rpi_gateway_001", "name": "MASH IoT Gateway", "type": "gateway", "firmware": "1.2"}


def post(body: Any, client: Client | None = None, **headers: Any) -> Any:
    return (client or Client()).post("/api/v1/devices", body, content_type="application/json", **headers)


def bearer(token: str) -> dict[str, Any]:
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


@pytest.fixture
def fleet(db: None) -> Fleet:
    return Fleet.objects.create(slug="farm", name="Farm")


@pytest.fixture
def secret(fleet: Fleet) -> str:
    return RegistrationSecret.objects.issue(fleet, "batch 7")[1]


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_new_gateway_brings_the_secret(secret: str) -> None:
    answer = post(GATEWAY | {"registration_secret": secret})
    assert answer.status_code == 201 and answer["Cache-Control"] == "no-store"
    told = answer.json()
    assert (
        told["status"] == "created" and told["device_id"] == "rpi_gateway_001" and told["type"] == "gateway"
    )
    device = Device.objects.get(external_id="rpi_gateway_001")
    assert device.vehicle.kind == Kind.SITE and device.metadata == {"firmware": "1.2"}
    seen = Client().get("/api/v1/vehicles", **bearer(told["token"])).json()["results"]
    assert [one["vehicle_id"] for one in seen] == [device.vehicle.slug]
    assert RegistrationSecret.objects.get().uses == 1
    entry = AuditEntry.objects.get(action="device.registered")
    assert "registration secret" in entry.actor and secret not in str(entry.after) and entry.address


def test_the_secret_may_come_as_a_header(secret: str) -> None:
    assert post(GATEWAY, HTTP_X_REGISTRATION_SECRET=secret).status_code == 201


def test_an_answer_that_was_lost_can_be_had_again_until_the_token_is_used(secret: str) -> None:
    lost = post(GATEWAY, HTTP_X_REGISTRATION_SECRET=secret).json()["token"]
    again = post(GATEWAY, HTTP_X_REGISTRATION_SECRET=secret)
    assert again.status_code == 200 and again.json()["token"] != lost
    assert Client().get("/api/v1/vehicles", **bearer(lost)).status_code == 401
    assert Client().get("/api/v1/vehicles", **bearer(again.json()["token"])).status_code == 200
    third = post(GATEWAY, HTTP_X_REGISTRATION_SECRET=secret)
    assert third.status_code == 200 and "token" not in third.json()
    assert Device.objects.count() == 1 and RegistrationSecret.objects.get().uses == 1


def test_nor_one_that_a_manager_added_and_that_never_came(secret: str, fleet: Fleet) -> None:
    client = logged_in(make_person("owner@example.com", "farm", Role.OWNER))
    told = post({"device_id": "cam-1", "name": "Gate", "ip": "10.0.0.1"}, client).json()
    answer = post({"device_id": "cam-1"}, HTTP_X_REGISTRATION_SECRET=secret).json()
    assert "token" not in answer and answer["metadata"] == {} and "Gate" not in str(answer)
    assert Client().get("/api/v1/vehicles", **bearer(told["token"])).status_code == 200


def test_somebody_with_the_secret_cannot_take_a_device_over(secret: str, fleet: Fleet) -> None:
    car = make_car("farm", "tractor")
    answer = post({"device_id": car.device.slug}, HTTP_X_REGISTRATION_SECRET=secret)
    assert answer.status_code == 200 and "token" not in answer.json()
    assert DeviceToken.objects.filter(device=car.device).count() == 1


@pytest.mark.parametrize(
    "spoiled",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"limit": 0},
        {"digest": "x"},
    ],
)
def test_secrets_that_are_no_good(secret: str, spoiled: dict[str, Any]) -> None:
    RegistrationSecret.objects.update(**spoiled)
    answer = post(GATEWAY, HTTP_X_REGISTRATION_SECRET=secret)
    assert answer.status_code == 401 and not Device.objects.exists()


def test_nobody_registers_without_anything(db: None) -> None:
    answer = post(GATEWAY)
    assert answer.status_code == 401 and "registration secret" in answer.json()["detail"]


def test_a_device_registers_with_its_token_again_and_again(db: None) -> None:
    car = make_car()
    for name in ("Gateway", "Gateway 2"):
        answer = post(GATEWAY | {"name": name}, **bearer(car.token))
        assert answer.status_code == 200 and answer.json()["id"] == car.device.slug
        assert answer.json()["name"] == name and answer.json()["device_id"] == "rpi_gateway_001"
    assert Device.objects.count() == 1
    other = post(GATEWAY | {"device_id": "another"}, **bearer(car.token))
    assert other.status_code == 400 and other.json()["errors"][0]["field"] == "device_id"


def test_a_manager_adds_a_device_to_a_vehicle(fleet: Fleet) -> None:
    client = logged_in(make_person("m@example.com", "farm", Role.MANAGER))
    Vehicle.objects.create(fleet=fleet, slug="tractor", name="Tractor", plate="B-X 1")
    answer = post({"device_id": "box-1", "vehicle": "b-x 1"}, client)
    assert answer.status_code == 201 and answer.json()["vehicle_id"] == "tractor" and answer.json()["token"]
    assert post({"device_id": "box-1", "vehicle": "tractor"}, client).status_code == 200
    wrong = post({"device_id": "box-2", "vehicle": "nothing"}, client)
    assert wrong.status_code == 400 and wrong.json()["errors"][0]["field"] == "vehicle"
    assert AuditEntry.objects.filter(action="device.registered", user__email="m@example.com").count() == 1


def test_viewers_and_strangers_add_none(fleet: Fleet) -> None:
    viewer = logged_in(make_person("v@example.com", "farm", Role.VIEWER))
    assert post({"device_id": "x"}, viewer).status_code == 403
    stranger = logged_in(make_person("s@example.com"))
    assert post({"device_id": "x", "fleet": "farm"}, stranger).status_code == 404
    assert not Device.objects.exists()


@pytest.mark.parametrize(
    "body", [{}, [], {"device_id": ""}, {"device_id": "x" * 81}, {"device_id": {}}, "text", 7, None]
)
def test_nonsense(secret: str, body: Any) -> None:
    answer = post(body, HTTP_X_REGISTRATION_SECRET=secret)
    assert answer.status_code == 400 and not Device.objects.exists()


def test_many_at_once_make_one_device(transactional_db: None) -> None:
    fleet = Fleet.objects.create(slug="farm", name="Farm")
    secret = RegistrationSecret.objects.issue(fleet, "batch")[1]
    answers: list[int] = []

    def register() -> None:
        answers.append(post(GATEWAY, HTTP_X_REGISTRATION_SECRET=secret).status_code)
        connections.close_all()

    threads = [threading.Thread(target=register) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 7 + [201]
    assert Device.objects.count() == Vehicle.objects.count() == 1
    assert DeviceToken.objects.filter(revoked_at=None).count() == 1


def test_the_list_is_narrowed_and_paged(db: None, django_assert_max_num_queries: Any) -> None:
    for number in range(12):
        make_car("own", f"car-{number}")
    stranger = make_car("other", "bus")
    client = logged_in(make_person("v@example.com", "own", Role.VIEWER))
    with django_assert_max_num_queries(5):
        first = client.get("/api/v1/devices?limit=5").json()
    second = client.get(first["next"]).json()
    ids = [
        row["id"]
        for row in first["results"] + second["results"] + client.get(second["next"]).json()["results"]
    ]
    assert len(ids) == len(set(ids)) == 12 and stranger.device.slug not in ids
    assert len(client.get("/api/v1/devices?q=CAR-11").json()["results"]) == 1
    own = Client().get("/api/v1/devices", **bearer(stranger.token)).json()["results"]
    assert [row["id"] for row in own] == [stranger.device.slug]
