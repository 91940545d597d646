"""Cars of one fleet that share a driver, their clients, and the people of the fleet."""

from typing import Any

import pytest
from django.test import Client

from devices.auth import tokens
from fleet.models import Role
from tests.world import Car, make_car, make_person

URL = "/api/v1/drivers/driver_123/profile"


@pytest.fixture(autouse=True)
def fresh_tokens() -> None:
    tokens.clear()


class Speaker:
    """A client of the API that sends JSON to one driver's profile."""

    def __init__(self, client: Client, url: str = URL) -> None:
        self.client, self.url = client, url

    def get(self, more: str = "", **headers: str) -> Any:
        return self.client.get(self.url + more, headers=_named(headers))

    def post(self, more: str) -> Any:
        return self.client.post(self.url + more, content_type="application/json")

    def delete(self) -> Any:
        return self.client.delete(self.url)

    def put(self, text: Any, version: int | None = None, further: Any = None, **headers: str) -> Any:
        body = {"encrypted_profile": text} | ({} if version is None else {"version": version})
        body |= further or {}
        return self.client.put(self.url, body, content_type="application/json", headers=_named(headers))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def device(car: Car) -> Speaker:
    return Speaker(Client(headers={"authorization": f"Bearer {car.token}"}))


def person(email: str, fleet: str = "north", role: str = Role.VIEWER) -> Speaker:
    client = Client()
    user = make_person(email, fleet, role)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return Speaker(client)


@pytest.fixture
def cars(db: None) -> tuple[Car, Car]:
    return make_car("north", "van-1"), make_car("north", "van-2")


@pytest.fixture
def one(cars: tuple[Car, Car]) -> Speaker:
    return device(cars[0])


@pytest.fixture
def two(cars: tuple[Car, Car]) -> Speaker:
    return device(cars[1])


@pytest.fixture
def manager(cars: tuple[Car, Car]) -> Speaker:
    return person("manager@example.com", role=Role.MANAGER)
