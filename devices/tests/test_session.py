"""Logging in over the API, as a person and as a device."""

import threading
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import Settings as DjangoSettings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from devices.auth import resolve
from devices.tasks import forget_sessions
from fleet.models import Role, User
from tests.drives import drive, encode
from tests.world import Car, make_car, make_person

PASSWORD = "a long enough password"
pytestmark = pytest.mark.django_db


def post(path: str, body: dict[str, Any], **headers: Any) -> Any:
    return Client().post(f"/api/v1/auth/{path}", body, content_type="application/json", **headers)


@pytest.fixture
def person() -> User:
    user = make_person("ann@example.com", role=Role.OWNER)
    make_car("acme", "van")
    user.set_password(PASSWORD)
    user.save()
    user.memberships.create(fleet_id=make_car("acme", "bus").vehicle.fleet_id, role=Role.OWNER)
    return user


@pytest.fixture
def car() -> Car:
    """Its device has an account."""
    car = make_car("acme", "gateway")
    account = User.objects.create_user("device@example.com", PASSWORD, is_device=True)
    car.device.account = account
    car.device.save()
    return car


def login(email: str, password: str = PASSWORD) -> Any:
    return post("login", {"email": email, "password": password})


def test_a_person_logs_in_and_asks(person: User) -> None:
    answer = login("  Ann@Example.COM ")
    assert answer.status_code == 200 and answer["Cache-Control"] == "no-store"
    told = answer.json()
    assert (
        told["token_type"] == "Bearer" and told["expires_in"] > 0 and told["access_token"] == told["access"]
    )
    fleets = [{"fleet_id": "acme", "role": "owner"}]
    named = {"id": person.pk, "email": person.email, "name": str(person), "role": "ADMIN"}
    assert told["user"] == named | {"fleets": fleets}
    vehicles = Client().get("/api/v1/vehicles", HTTP_AUTHORIZATION=f"Bearer {told['access']}")
    assert {vehicle["vehicle_id"] for vehicle in vehicles.json()["results"]} == {"van", "bus"}


def test_a_device_account_is_its_device(car: Car) -> None:
    told = login("device@example.com").json()
    assert told["user"]["device_id"] == car.device.slug and told["user"]["role"] == "GROWER"
    header: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {told['access']}"}
    vehicles = Client().get("/api/v1/vehicles", **header).json()["results"]
    assert [vehicle["vehicle_id"] for vehicle in vehicles] == ["gateway"]
    body = encode(car.vin, drive(1))[0].SerializeToString()
    sent = Client().post("/api/telemetry", body, content_type="application/x-protobuf", **header)
    assert sent.status_code == 200 and sent.json()["accepted"] == 1
    principal = resolve(told["access"])
    assert principal and principal.device_id == car.device.pk


def test_an_inactive_device_is_refused_at_once(car: Car) -> None:
    access = login("device@example.com").json()["access"]
    car.device.active = False
    car.device.save()
    answer = Client().get("/api/v1/vehicles", HTTP_AUTHORIZATION=f"Bearer {access}")
    assert answer.status_code == 401 and resolve(access) is None


def test_a_device_account_does_not_open_pages(car: Car) -> None:
    answer = Client().post("/login", {"username": "device@example.com", "password": PASSWORD})
    assert answer.status_code == 200 and b"over the API only" in answer.content


@pytest.mark.parametrize("password", ["wrong", "", "x" * 5000, "\x00"])
def test_wrong_passwords(person: User, password: str) -> None:
    answer = login(person.email, password)
    assert answer.status_code in {400, 401}
    assert answer["Content-Type"] == "application/problem+json" and answer.json()["detail"]
    assert answer.status_code == 400 or answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "body", [{}, {"email": "a@b.c"}, {"email": 7, "password": []}, {"email": "x", "password": "y"}]
)
def test_nonsense(db: None, body: dict[str, Any]) -> None:
    assert post("login", body).status_code in {400, 401}


def test_guessing_is_locked_out(person: User, settings: DjangoSettings) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    answers = [login(person.email, "guess").status_code for _ in range(4)]
    assert answers[:2] == [401, 401] and answers[-1] == 429
    locked = login(person.email)
    assert locked.status_code == 429 and int(locked["Retry-After"]) > 60


def test_a_refresh_token_is_good_once(person: User) -> None:
    first = login(person.email).json()["refresh"]
    answer = post("refresh", {"refresh": first})
    assert answer.status_code == 200 and answer.json()["refresh"] != first
    again = post("refresh", {"refresh_token": first})
    assert again.status_code == 401 and "log in again" in again.json()["detail"]
    assert post("refresh", {"refresh_token": answer.json()["refresh"]}).status_code == 200


def test_a_changed_password_ends_sessions(person: User) -> None:
    told = login(person.email).json()
    person.set_password("another long password")
    person.save()
    answer = Client().get("/api/v1/vehicles", HTTP_AUTHORIZATION=f"Bearer {told['access']}")
    assert answer.status_code == 401


@pytest.mark.parametrize("text", ["a.b.c", "..", "x" * 9000 + ".y.z", "é.é.é"])
def test_tokens_that_are_none(db: None, text: str) -> None:
    assert Client().get("/api/v1/vehicles", HTTP_AUTHORIZATION=f"Bearer {text}").status_code == 401
    assert resolve(text) is None


def test_expired_sessions_are_forgotten(person: User) -> None:
    login(person.email)
    OutstandingToken.objects.update(expires_at=timezone.now())
    told = login(person.email).json()
    forget_sessions()
    assert OutstandingToken.objects.count() == 1
    assert post("refresh", {"refresh": told["refresh"]}).status_code == 200


def test_a_password_is_what_was_typed(person: User) -> None:
    person.set_password(f" {PASSWORD} ")
    person.save()
    assert login("ann@example.com", f" {PASSWORD} ").status_code == 200
    assert login("ann@example.com", PASSWORD).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_uses_a_refresh_token_up(person: User) -> None:
    for _ in range(3):
        refresh = login("ann@example.com").json()["refresh"]
        start, answers = threading.Barrier(6), list[int]()

        def use(text: str, start: threading.Barrier, answers: list[int]) -> None:
            start.wait()
            answers.append(post("refresh", {"refresh": text}).status_code)
            connections.close_all()

        users = [threading.Thread(target=use, args=(refresh, start, answers)) for _ in range(6)]
        for user in users:
            user.start()
        for user in users:
            user.join()
        assert sorted(answers) == [200, 401, 401, 401, 401, 401]
