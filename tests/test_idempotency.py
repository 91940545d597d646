"""Idempotency-Key: done once, answered the same; told apart from another request; two at once. Tried on commands."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from devices import commands
from devices.models import Command
from fleet.alerting.alerts import Report, raise_alert
from fleet.api import idempotency
from fleet.models import AuditEntry, IdempotencyKey, Role, Severity, User
from fleet.tasks import prune_idempotency_keys
from tests.world import Car, make_car, make_person

URL = "/api/v1/vehicles/van/commands"


@pytest.fixture
def car(db: None) -> Car:
    return make_car("acme", "van")


@pytest.fixture
def ann(car: Car) -> User:
    return make_person("ann@example.com", "acme", Role.MANAGER)


def post(who: User, key: str | None, body: Any = None, url: str = URL) -> Any:
    client = Client()
    client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(url, body or {"action": "honk"}, content_type="application/json", headers=headers)


def test_done_once_and_answered_the_same(ann: User) -> None:
    first, again = post(ann, "k1"), post(ann, "k1")
    assert first.status_code == again.status_code == 201 and first.json() == again.json()
    assert first["Location"] == again["Location"] and again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert Command.objects.count() == AuditEntry.objects.count() == 1


def test_without_a_key_or_with_another_it_is_done_again(ann: User) -> None:
    for key in (None, None, "a", "b"):
        assert post(ann, key).status_code == 201
    assert Command.objects.count() == 4


def test_another_request_with_the_same_key(car: Car, ann: User) -> None:
    post(ann, "k1")
    for answer in (
        post(ann, "k1", {"action": "lock"}),
        post(ann, "k1", url=f"/api/v1/vehicles/{car.vin}/commands"),
    ):
        assert answer.status_code == 422 and answer["Content-Type"] == "application/problem+json"
    assert Command.objects.count() == 1


def test_a_key_is_its_senders_own(car: Car, ann: User) -> None:
    post(ann, "k1")
    assert (
        post(make_person("ben@example.com", "acme", Role.OWNER), "k1").json()["sender"] == "ben@example.com"
    )


def test_errors_are_not_kept(car: Car, ann: User) -> None:
    assert post(ann, "k1", {"action": "No"}).status_code == 400
    car.vehicle.devices.update(active=False)
    assert post(ann, "k1").status_code == 409
    car.vehicle.devices.update(active=True)
    assert post(ann, "k1").status_code == 201


def test_who_may_not_gets_no_answer_of_others(car: Car, ann: User) -> None:
    post(ann, "k1")
    ann.memberships.all().delete()
    assert post(ann, "k2").status_code == 404


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_what_is_no_key(ann: User, key: str) -> None:
    answer = post(ann, key)
    assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert not Command.objects.exists()


def test_kept_for_a_day(ann: User) -> None:
    post(ann, "old"), post(ann, "new")
    old = timezone.now() - idempotency.KEPT - timedelta(seconds=1)
    IdempotencyKey.objects.filter(key="old").update(created_at=old)
    prune_idempotency_keys()
    assert [kept.key for kept in IdempotencyKey.objects.all()] == ["new"]


@pytest.mark.django_db(transaction=True)
def test_many_at_once(ann: User) -> None:
    """On PostgreSQL some are told to come again; on SQLite they wait for the first. It is done once on both."""
    answers: list[Any] = []
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait()
        answers.append(post(ann, "k1"))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8 and {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert all(answer["Retry-After"] for answer in answers if answer.status_code == 409)
    assert Command.objects.count() == 1 and post(ann, "k1")["Idempotency-Replayed"] == "true"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_while_the_first_is_being_worked_on(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Event(), threading.Event()
    send = commands.send

    def slow(*args: Any) -> Command:
        inside.set()
        assert go_on.wait(10)
        return send(*args)

    monkeypatch.setattr(commands, "send", slow)
    answers: list[Any] = []

    def ask() -> None:
        answers.append(post(ann, "k1"))
        connection.close()

    first = threading.Thread(target=ask)
    first.start()
    assert inside.wait(10)
    second = post(ann, "k1")
    go_on.set()
    first.join()
    assert second.status_code == 409 and int(second["Retry-After"]) >= 1
    assert answers[0].status_code == 201 and Command.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_act_that_is_rolled_back_leaves_no_answer(ann: User) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        assert post(ann, "k1").status_code == 201
        raise RuntimeError
    assert not Command.objects.exists() and not IdempotencyKey.objects.exists()
    assert post(ann, "k1").status_code == 201 and Command.objects.count() == 1


def test_a_secret_is_shown_once_and_not_kept(car: Car, ann: User) -> None:
    url = f"/api/v1/devices/{car.device.slug}/tokens"
    first, again = (post(ann, "k1", {"name": "spare"}, url) for _ in range(2))
    assert first.status_code == again.status_code == 201 and first.json()["token"].startswith("cvy_")
    assert again.json() == first.json() | {"token": None} and again["Idempotency-Replayed"] == "true"
    assert car.device.tokens.filter(name="spare").count() == 1
    assert first.json()["token"].split("_", 2)[2] not in IdempotencyKey.objects.get().body


@pytest.mark.parametrize(
    ("url", "body"),
    [("/api/v1/drivers", {"driver_id": "ada"}), ("/api/v1/alerts/{alert}/comment", {"text": "seen"})],
)
def test_other_things_that_are_made(car: Car, ann: User, url: str, body: Any) -> None:
    alert = raise_alert(car.vehicle, Report("t", Severity.INFO, "m", timezone.now())).alert
    first, again = (post(ann, "k1", body, url.format(alert=alert.pk)) for _ in range(2))
    assert first.status_code == again.status_code < 300 and first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true" and alert.notes.count() <= 1
