"""Drivers over the API: who adds and changes them, who sees what, and ids that cars bring along."""

import threading
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client

from fleet.models import AuditEntry, Driver, Fleet, Membership, Role, User
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
API = "/api/v1/drivers"


@pytest.fixture
def van() -> Car:
    return make_car("north", "van-1")


@pytest.fixture
def manager(van: Car) -> Client:
    return browser(make_person("manager@example.com", "north", Role.MANAGER))


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def post(client: Client, body: dict[str, Any]) -> Any:
    return client.post(API, body, content_type="application/json")


def patch(client: Client, path: str, body: dict[str, Any]) -> Any:
    return client.patch(path, body, content_type="application/json")


def test_a_manager_adds_and_changes_a_driver(manager: Client) -> None:
    make_person("ada@example.com", "north", Role.DRIVER)
    reply = post(manager, {"driver_id": "driver_123", "name": "Ada Berg", "labels": ["night", "night"]})
    assert reply.status_code == 201 and reply.headers["Location"] == f"{API}/driver_123"
    assert reply.json()["labels"] == ["night"] and reply.json()["user"] is None
    reply = patch(manager, f"{API}/driver_123", {"user": "Ada@example.com", "active": False})
    assert reply.status_code == 200, reply.content
    told = manager.get(f"{API}/driver_123").json()
    assert (told["name"], told["user"], told["active"]) == ("Ada Berg", "ada@example.com", False)


def test_the_audit_trail_knows_the_act_and_not_the_name(manager: Client) -> None:
    post(manager, {"driver_id": "driver_123", "name": "Ada Berg"})
    patch(manager, f"{API}/driver_123", {"name": "Ada Stern", "labels": ["night"]})
    patch(manager, f"{API}/driver_123", {"name": "Ada Stern"})
    created, changed = AuditEntry.objects.order_by("id")
    assert (created.action, changed.action) == ("driver.created", "driver.changed")
    assert created.object_name == "driver_123" and created.actor == "manager@example.com"
    assert changed.before == {"labels": []} and changed.after == {
        "labels": ["night"],
        "renamed_or_relinked": True,
    }
    assert "Ada" not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "driver_id"),
        ({"driver_id": "../x"}, "driver_id"),
        ({"driver_id": "a b"}, "driver_id"),
        ({"driver_id": "x" * 65}, "driver_id"),
        ({"driver_id": "x\n"}, None),
        ({"driver_id": "x", "user": "stranger@example.com"}, "user"),
        ({"driver_id": "x", "labels": "night"}, "labels"),
        ({"driver_id": "x", "fleet": "south"}, "fleet"),
    ],
)
def test_what_a_driver_may_not_be(manager: Client, body: dict[str, Any], field: str | None) -> None:
    reply = post(manager, body)
    if field is None:  # surrounding blanks are trimmed
        assert reply.status_code == 201 and reply.json()["driver_id"] == "x"
    else:
        assert reply.status_code == 400 and reply.json()["errors"][0]["field"].startswith(field)
        assert not Driver.objects.exists()


def test_an_id_is_taken_once_per_fleet(manager: Client) -> None:
    assert post(manager, {"driver_id": "driver_1"}).status_code == 201
    assert post(manager, {"driver_id": "driver_1"}).status_code == 409
    other = browser(make_person("south@example.com", make_car("south").vehicle.fleet.slug, Role.OWNER))
    assert post(other, {"driver_id": "driver_1"}).status_code == 201


def test_one_member_is_one_driver_of_a_fleet(manager: Client) -> None:
    post(manager, {"driver_id": "a", "user": "manager@example.com"})
    reply = post(manager, {"driver_id": "b", "user": "manager@example.com"})
    assert reply.status_code == 400 and "member already" in reply.json()["detail"]


def test_which_fleet_when_there_are_several(manager: Client) -> None:
    make_car("south")
    user = User.objects.get(email="manager@example.com")
    Membership.objects.create(fleet=Fleet.objects.get(slug="south"), user=user, role=Role.MANAGER)
    assert post(manager, {"driver_id": "d"}).json()["errors"][0]["field"] == "fleet"
    for fleet in ("north", "south"):
        assert post(manager, {"driver_id": "d", "fleet": fleet}).json()["fleet_id"] == fleet
    assert manager.get(f"{API}/d").status_code == 400
    assert manager.get(f"{API}/d?fleet=south").json()["fleet_id"] == "south"
    assert manager.get(f"{API}/d?fleet=west").status_code == 404


def test_a_device_sees_ids_and_nothing_personal(van: Car, manager: Client) -> None:
    post(manager, {"driver_id": "driver_123", "name": "Ada Berg", "labels": ["night"]})
    client = Client(headers={"authorization": f"Bearer {van.token}"})
    told = {"driver_id": "driver_123", "fleet_id": "north", "active": True}
    assert client.get(f"{API}/driver_123").json() == told
    assert client.get(API).json()["results"] == [told]
    assert patch(client, f"{API}/driver_123", {"name": "x"}).status_code == 403
    assert post(client, {"driver_id": "other"}).status_code == 403


def test_a_driver_sees_only_themselves(van: Car, manager: Client) -> None:
    ada = browser(make_person("ada@example.com", "north", Role.DRIVER))
    post(manager, {"driver_id": "mine", "user": "ada@example.com"})
    post(manager, {"driver_id": "theirs"})
    assert [row["driver_id"] for row in ada.get(API).json()["results"]] == ["mine"]
    assert ada.get(f"{API}/theirs").status_code == 404
    Membership.objects.filter(user__email="ada@example.com").delete()
    assert ada.get(f"{API}/mine").status_code == 404


def test_the_list_is_searched_filtered_and_paged(manager: Client) -> None:
    fleet = Fleet.objects.get(slug="north")
    names = ["Ada Berg", "Bo Berg", "Cy Stern"]
    Driver.objects.bulk_create(
        Driver(fleet=fleet, slug=f"d{n}", name=name, active=n != 1) for n, name in enumerate(names)
    )

    def listed(query: str) -> list[str]:
        return [row["driver_id"] for row in manager.get(f"{API}?{query}").json()["results"]]

    assert listed("") == ["d2", "d1", "d0"]
    assert listed("q=berg") == ["d1", "d0"] and listed("q=berg+ada") == ["d0"]
    assert manager.get(f"{API}?q=%00").status_code == 400
    assert listed("active=false") == ["d1"] and listed("fleet=south") == []
    first = manager.get(f"{API}?limit=2").json()
    assert len(first["results"]) == 2
    assert [row["driver_id"] for row in manager.get(first["next"]).json()["results"]] == ["d0"]
    assert manager.get(f"{API}?active=perhaps").status_code == 400


def test_listing_costs_the_same_for_any_number(manager: Client, django_assert_num_queries: Any) -> None:
    fleet = Fleet.objects.get(slug="north")
    Driver.objects.bulk_create(Driver(fleet=fleet, slug=f"d{n}") for n in range(60))
    with django_assert_num_queries(4):  # session, person, memberships, drivers
        assert len(manager.get(API).json()["results"]) == 60


class TestKnown:
    def test_made_once_and_without_a_name(self, van: Car) -> None:
        fleet = van.vehicle.fleet_id
        driver = Driver.objects.known(fleet, "driver_9")
        assert (driver.name, driver.user, driver.active) == ("", None, True)
        assert Driver.objects.known(fleet, "driver_9").pk == driver.pk

    def test_an_id_nobody_may_have(self, van: Car) -> None:
        with pytest.raises(ValidationError):
            Driver.objects.known(van.vehicle.fleet_id, "no way")


@pytest.mark.django_db(transaction=True)
def test_cars_that_bring_the_same_new_id_at_once() -> None:
    fleet = make_car("north").vehicle.fleet_id
    found: list[int] = []
    start = threading.Barrier(6)

    def bring() -> None:
        start.wait()
        try:
            found.append(Driver.objects.known(fleet, "driver_new").pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=bring) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len(set(found)) == 1
