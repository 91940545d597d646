"""Tokens issued, limited, rotated and revoked over the API."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from devices.auth import tokens
from devices.models import DeviceToken
from fleet.models import AuditEntry, Role
from tests.drives import drive, encode
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def car() -> Car:
    return make_car("own", "van")


@pytest.fixture
def manager(car: Car) -> Client:
    client = Client()
    person = make_person("m@example.com", "own", Role.MANAGER)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def path(car: Car, *more: str) -> str:
    return "/".join(("/api/v1/devices", car.device.slug, "tokens", *more))


def bearer(token: str) -> dict[str, Any]:
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def works(token: str) -> bool:
    tokens.clear()
    return Client().get("/api/v1/vehicles", **bearer(token)).status_code == 200


def issue(client: Client, car: Car, **body: Any) -> Any:
    return client.post(path(car), {"name": "spare", **body}, content_type="application/json")


def test_issued_shown_once_listed_and_revoked(car: Car, manager: Client) -> None:
    answer = issue(manager, car)
    assert answer.status_code == 201 and answer["Cache-Control"] == "no-store"
    text, prefix = answer.json()["token"], answer.json()["id"]
    assert works(text)
    listed = manager.get(path(car))
    assert {row["id"] for row in listed.json()["results"]} >= {prefix} and text not in listed.content.decode()
    assert manager.delete(path(car, prefix)).status_code == 204
    assert not works(text) and works(car.token)
    assert manager.delete(path(car, prefix)).status_code == 204
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["token.issued", "token.revoked"]
    assert not any(text in str(entry.after) for entry in AuditEntry.objects.all())


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"expires_at": "2020-01-01T00:00:00Z"}, {"scopes": ["fly"]}, {"scopes": 7}]
)
def test_nonsense(car: Car, manager: Client, body: dict[str, Any]) -> None:
    answer = issue(manager, car, **body)
    assert answer.status_code == 400 and answer.json()["errors"][0]["field"].startswith(next(iter(body)))
    assert DeviceToken.objects.count() == 1


def test_scopes_limit_what_a_token_may(car: Car, manager: Client) -> None:
    sender = issue(manager, car, scopes=["telemetry"]).json()["token"]
    reader = issue(manager, car, scopes=["read"]).json()["token"]
    body = encode(car.vin, drive(1))[0].SerializeToString()

    def send(token: str) -> Any:
        return Client().post("/api/telemetry", body, content_type="application/x-protobuf", **bearer(token))

    assert send(sender).status_code == 200 and send(reader).status_code == 403
    assert "telemetry" in send(reader).json()["error"]
    assert works(reader) and not works(sender)
    refused = Client().get("/api/v1/vehicles", **bearer(sender))
    assert refused.status_code == 403 and "read" in refused.json()["detail"]


def test_rotation_overlaps(car: Car) -> None:
    answer = Client().post(path(car, "rotate"), **bearer(car.token))
    assert answer.status_code == 201
    new = answer.json()["token"]
    assert works(new) and works(car.token)
    old = DeviceToken.objects.get(expires_at__isnull=False)
    assert timedelta(hours=23) < old.expires_at - timezone.now() <= timedelta(hours=24)  # type: ignore[operator]
    DeviceToken.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    assert works(new) and not works(car.token)


def test_rotation_never_lengthens_a_life(car: Car) -> None:
    soon = timezone.now() + timedelta(hours=1)
    DeviceToken.objects.update(expires_at=soon)
    Client().post(path(car, "rotate"), **bearer(car.token))
    assert DeviceToken.objects.order_by("id").first().expires_at == soon  # type: ignore[union-attr]


def test_a_token_rotates_only_itself(car: Car) -> None:
    other = make_car("own", "bus")
    assert Client().post(path(car, "rotate"), **bearer(other.token)).status_code == 404
