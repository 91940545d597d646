"""Rate limits with the real cache: counted per caller and per address, told in headers, over in a known time."""

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import Client

from fleet.api import throttles
from tests.world import Car, make_car, make_person

TRIPS = "/api/v1/trips"


@pytest.fixture
def car(db: None) -> Car:
    cache.clear()
    return make_car("acme", "van")


@pytest.fixture
def rates(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three requests in a window, and a clock that stands ten seconds before the next one."""
    few = dict.fromkeys(("principal", "upload", "login", "strangers"), "3/min")
    settings.REST_FRAMEWORK = django_settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": few}
    monkeypatch.setattr(throttles, "clock", lambda: 1_700_000_030.0)


def get(token: str, address: str = "192.0.2.1", path: str = TRIPS) -> Any:
    return Client().get(path, headers={"X-API-Key": token}, REMOTE_ADDR=address)


def test_what_is_left_is_told_and_then_refused(car: Car, rates: None) -> None:
    other = make_car("acme", "bus")
    left = [get(car.token)["X-RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    refused = get(car.token)
    assert refused.status_code == 429 and refused["Content-Type"] == "application/problem+json"
    assert refused["Retry-After"] == "10" and refused["RateLimit"] == '"principal";r=0;t=10'
    assert refused["RateLimit-Policy"] == '"principal";q=3;w=60' and refused["X-RateLimit-Limit"] == "3"
    assert get(other.token).status_code == 200  # each token for itself


def test_a_new_window_begins_when_it_was_said_to(
    car: Car, rates: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [get(car.token) for _ in range(4)]
    later = 1_700_000_030.0 + int(answers[-1]["Retry-After"])
    monkeypatch.setattr(throttles, "clock", lambda: later)
    assert get(car.token).status_code == 200


def test_wrong_tokens_are_counted_by_address_and_do_not_lock_out_the_right_one(car: Car, rates: None) -> None:
    assert [get(f"cvy_wrong_{n}").status_code for n in range(4)] == [401, 401, 401, 429]
    assert "Retry-After" in get("cvy_wrong_again")
    assert get("cvy_wrong_elsewhere", "192.0.2.2").status_code == 401
    assert get(car.token, "192.0.2.3").status_code == 200
    assert get(car.token).status_code == 200  # known already: it costs no guess


def test_passwords_are_counted_by_address_whoever_is_meant(car: Car, rates: None) -> None:
    make_person("ann@example.com", "acme")

    def login(email: str) -> Any:
        body = {"email": email, "password": "wrong"}
        return Client().post("/api/v1/auth/login", body, content_type="application/json")

    assert [login(f"{n}@example.com").status_code for n in range(4)] == [401, 401, 401, 429]
    assert login("ann@example.com")["Retry-After"] == "10"


def test_health_is_never_refused(car: Car, rates: None) -> None:
    assert {get(car.token, path="/health").status_code for _ in range(6)} == {200}


def test_no_limit_when_there_is_none(car: Car, settings: Any) -> None:
    none = dict.fromkeys(("principal", "upload", "login", "strangers"), "0/min")
    settings.REST_FRAMEWORK = django_settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": none}
    answers = [get(car.token) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200} and "RateLimit" not in answers[0]
