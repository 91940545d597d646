"""The scenario pages without a browser: who sees what, what a form may say, what they cost."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from fleet.models import Fleet, Role, Scenario
from tests.world import Car, make_car, make_person

START = datetime(2024, 11, 17, 23, 30, tzinfo=UTC)


@pytest.fixture
def car(db: None) -> Car:
    return make_car("north", "van")


def record(car: Car, count: int, **facts: Any) -> None:
    already = Scenario.objects.count()
    for number in range(already, already + count):
        Scenario.objects.create(
            fleet=car.vehicle.fleet,
            vehicle=car.vehicle,
            scenario_id=f"s{number}",
            time=facts.get("time", START + timedelta(minutes=number)),
            trigger=facts.get("trigger", "hard_brake"),
        )


def person(role: Role, fleet: str = "north", **fields: Any) -> Client:
    client = Client()
    user = make_person(f"{role}@example.com", fleet, role, **fields)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_list_costs_the_same_however_long(car: Car, django_assert_num_queries: Any) -> None:
    viewer = person(Role.VIEWER)
    for _ in range(2):
        record(car, 15)
        # session, user, memberships, count, rows, videos, vehicles, triggers, fleets of the head
        with django_assert_num_queries(9):
            assert viewer.get("/scenarios/").status_code == 200
    assert b"1\xe2\x80\x9325 of 30" in viewer.get("/scenarios/").content
    assert viewer.get("/scenarios/?page=2").content.count(b"<tr>") == 6


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3),
        ("trigger=near_miss", 1),
        ("vehicle=999999", 0),
        ("vehicle=x&from=never&to=9999-99-99&page=z", 3),
        ("from=9999-12-31&to=9999-12-31", 3),
        ("trigger=a%00b", 0),
        # 23:30 UTC is the next day in Berlin.
        ("to=2024-11-17", 0),
        ("from=2024-11-18&to=2024-11-18", 2),
    ],
)
def test_filters_in_the_readers_zone(car: Car, query: str, count: int) -> None:
    record(car, 2)
    record(car, 1, trigger="near_miss", time=START + timedelta(days=9))
    viewer = person(Role.VIEWER, time_zone="Europe/Berlin")
    for headers in ({}, {"HX-Request": "true"}):
        reply = viewer.get(f"/scenarios/?{query}", headers=headers)
        assert reply.status_code == 200
        assert reply.content.count(b'<td><a href="/scenarios/') == count


def test_others_see_nothing(car: Car) -> None:
    record(car, 1)
    make_car("south", "bus")
    stranger = person(Role.OWNER, "south")
    assert b"No scenarios yet" in stranger.get("/scenarios/").content
    address = Scenario.objects.get().get_absolute_url()
    assert stranger.get(address).status_code == stranger.post(address + "delete").status_code == 404


def test_only_managers_are_offered_to_delete(car: Car) -> None:
    record(car, 1)
    address = Scenario.objects.get().get_absolute_url()
    viewer, manager = person(Role.VIEWER), person(Role.MANAGER)
    assert b"Delete" not in viewer.get(address).content
    assert viewer.post(address + "delete").status_code == 403
    assert b"Delete" in manager.get(address).content
    assert manager.get(address + "delete").status_code == 200
    assert Scenario.objects.filter(withdrawn_at=None).count() == 1, "asking deletes nothing"
    assert manager.post(address + "delete").status_code == 302
    assert manager.get(address).status_code == 404


def test_text_of_devices_is_not_markup(car: Car) -> None:
    record(car, 1, trigger="<script>x</script>")
    Scenario.objects.update(metadata={"<b>": "<i>"}, scenario_id="<u>")
    Fleet.objects.update(name="<s>")
    viewer = person(Role.VIEWER)
    for address in ("/scenarios/", Scenario.objects.get().get_absolute_url()):
        content = viewer.get(address).content
        assert not any(tag in content for tag in (b"<script>x", b"<b>", b"<i>", b"<u>", b"<s>"))
