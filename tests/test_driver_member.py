"""A member with the role driver: every page answers, and no page leads to one that is not for them."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.audit import SYSTEM
from fleet.behaviour import assignments
from fleet.models import ChargingSession, Driver, Membership, Role, Stop
from tests.journeys import make_trip
from tests.test_permissions import ROWS, World
from tests.world import Car, make_car, make_person

LINK = re.compile(r'(?:href|hx-get|data-url)="(/[^"#]*)')
NOT_FOR_CLICKS = ("/logout", "/static/", "/api/schema", "/api/docs")


@pytest.fixture
def world(db: None) -> World:
    world = World()
    world.people["driver"] = make_person("driver@example.com", "own", Role.DRIVER)
    return world


def links(answer: Any) -> set[str]:
    if "text/html" not in answer.headers.get("Content-Type", ""):
        return set()
    return {found.replace("&amp;", "&") for found in LINK.findall(answer.content.decode())}


def test_every_route_answers_and_no_page_is_a_dead_end(world: World) -> None:
    client, _ = world.client("driver")
    waiting = {world.address(row.route): "docs/permissions.md" for row in ROWS if row.method == "get"}
    seen: dict[str, int] = {}
    refused = []
    while waiting:
        address, source = waiting.popitem()
        if address in seen or address.startswith(NOT_FOR_CLICKS):
            continue
        answer = client.get(address)
        seen[address] = answer.status_code
        assert answer.status_code < 500 or answer.status_code == 503, address
        if answer.status_code in {403, 404} and source != "docs/permissions.md":
            refused.append(f"{source} links to {address}: {answer.status_code}")
        if answer.status_code == 200:
            waiting |= {link: address for link in links(answer) if link not in seen}
    assert not refused, "\n".join(refused)
    assert seen["/"] == seen[world.own.vehicle.get_absolute_url()] == seen["/fleets/own/"] == 200
    assert seen["/fleets/own/members"] == seen["/fleets/own/audit"] == 403


def test_what_a_driver_finds(world: World) -> None:
    client, _ = world.client("driver")
    page = client.get(world.own.vehicle.get_absolute_url()).content.decode()
    assert world.own.vehicle.name in page and "Commands" not in page
    viewer, _ = world.client("viewer")
    assert "Commands" in viewer.get(world.own.vehicle.get_absolute_url()).content.decode()


NOON = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)


class Rests:
    """Two drivers and their vehicles, which stand and are charged on the hour, for half an hour each time."""

    def __init__(self) -> None:
        self.cars: dict[str, Car] = {name: make_car("north", name) for name in ("van", "bus")}
        self.fleet = self.cars["van"].vehicle.fleet
        self.drivers = {name: Driver.objects.create(fleet=self.fleet, slug=name) for name in ("ada", "bo")}
        self.ada = make_person("ada@example.com", "north", Role.DRIVER)
        Driver.objects.filter(slug="ada").update(user=self.ada)

    def rest(self, car: str, hour: float, model: Any = Stop) -> int:
        begin = NOON + timedelta(hours=hour)
        told = {"told_by": "signal"} if model is ChargingSession else {}
        whose = {"fleet": self.fleet, "vehicle": self.cars[car].vehicle}
        row = model.objects.create(
            started_at=begin, ended_at=begin + timedelta(minutes=30), duration_s=1800.0, **whose, **told
        )
        return int(row.pk)

    def trip(self, car: str, end: float, driver: str) -> None:
        row = self.drivers.get(driver)
        trip = make_trip(self.cars[car], NOON + timedelta(hours=end), 10, driver=row, driven_by=driver)
        Stop.objects.filter(vehicle=trip.vehicle, ended_at=trip.started_at).delete()

    def assign(self, car: str, driver: str, hour: float, until: float | None) -> None:
        ends = None if until is None else NOON + timedelta(hours=until)
        stretch = NOON + timedelta(hours=hour), ends
        assignments.add(SYSTEM, assignments.Wish(self.cars[car].vehicle, self.drivers[driver], *stretch))


@pytest.fixture
def rests(db: None) -> Rests:
    return Rests()


def shown(user: Any, what: str) -> set[int]:
    client = Client()
    client.force_login(user)
    rows = client.get(f"/api/v1/{'stops' if what == 'stops' else 'charging-sessions'}?limit=200").json()[
        "results"
    ]
    page = client.get(f"/{what}?export=csv").content.decode()
    assert len(page.splitlines()) == 1 + len(rows), "page and API say the same"
    return {row["id"] for row in rows}


@pytest.mark.parametrize(("model", "what"), [(Stop, "stops"), (ChargingSession, "charging")])
def test_rests_after_their_trips_and_in_their_time(rests: Rests, model: Any, what: str) -> None:
    rests.assign("van", "ada", 2, 4)
    rests.assign("van", "bo", 4, None)
    rests.trip("bus", 1, "ada")
    rests.trip("bus", 3, "bo")
    rests.trip("van", 7, "")
    theirs = {
        rests.rest("van", 2, model), rests.rest("van", 3.75, model), rests.rest("bus", 1, model),
        rests.rest("bus", 2, model),
    }  # fmt: skip
    others = {
        rests.rest("van", 1.75, model), rests.rest("van", 4, model), rests.rest("bus", 0, model),
        rests.rest("bus", 3, model), rests.rest("bus", 9, model), rests.rest("van", 7, model),
    }  # fmt: skip
    assert shown(rests.ada, what) == theirs
    viewer = make_person("viewer@example.com", "north", Role.VIEWER)
    assert shown(viewer, what) == theirs | others
    unlinked = make_person("nobody@example.com", "north", Role.DRIVER)
    assert not shown(unlinked, what)


def test_rests_of_a_fleet_that_they_left(rests: Rests) -> None:
    """A driver in one fleet and a viewer in another: each by its own rule, and nothing once they are no member."""
    rests.trip("bus", 1, "ada")
    mine = rests.rest("bus", 1)
    far = make_car("south", "tram")
    Membership.objects.create(fleet=far.vehicle.fleet, user=rests.ada, role=Role.VIEWER)
    make_trip(far, NOON)
    there = Stop.objects.get(vehicle=far.vehicle).pk
    assert shown(rests.ada, "stops") == {mine, there}
    Membership.objects.filter(user=rests.ada, fleet=rests.fleet).delete()
    assert shown(rests.ada, "stops") == {there}


def test_their_trip_tells_nothing_of_where_another_driver_stood(rests: Rests, client: Client) -> None:
    rests.trip("bus", 1, "bo")
    rests.rest("bus", 1)
    rests.trip("bus", 2, "ada")
    rests.rest("bus", 2)
    client.force_login(rests.ada)
    trip = client.get("/api/v1/detected-trips").json()["results"][0]["id"]
    page = client.get(f"/trips/{trip}").content.decode()
    assert "After: stood 30 min" in page and "Before: stood" not in page


def test_stops_of_a_driver_cost_a_fixed_number_of_queries(
    rests: Rests, client: Client, django_assert_max_num_queries: Any
) -> None:
    for hour in range(30):
        rests.trip("bus", hour, "ada")
        rests.rest("bus", hour)
    client.force_login(rests.ada)
    with django_assert_max_num_queries(9):
        assert "1–30 of 30" in client.get("/stops").content.decode()
