"""Points that whole trips cost, night, risk and alerts: from the score to the trips, the costly first, adding up."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.audit import SYSTEM
from fleet.behaviour import assignments, scorecard
from fleet.behaviour.scorecard import Scorecard
from fleet.behaviour.scoring import Component
from fleet.journeys.trips import keep
from fleet.models import Driver, Role, Trip
from fleet.tests.test_rollups import told, up_to_date
from tests.journeys import make_trip
from tests.world import Car, make_car, make_person

MIDNIGHT = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
NAMES = ("night", "risk", "alerts")


@pytest.fixture
def car(db: None) -> Car:
    """Ada drove four times: two trips of which the device told, one at night, and one that nobody detected."""
    car = make_car("north", "van")
    ada = Driver.objects.create(fleet=car.vehicle.fleet, slug="ada", name="Ada Berg")
    assignments.add(SYSTEM, assignments.Wish(car.vehicle, ada, MIDNIGHT - timedelta(days=2)))
    for hour, km in ((2, 10.0), (8, 20.0), (12, 30.0)):
        make_trip(car, MIDNIGHT + timedelta(hours=hour, minutes=30), distance_m=km * 1000)
    keep(car.vehicle, [
        told("low", MIDNIGHT + timedelta(hours=8), 30, km=20, mean_risk=0.1, alerts={"warning": 1}),
        told("high", MIDNIGHT + timedelta(hours=12), 30, km=30, mean_risk=0.3, alerts={"critical": 1, "info": 2}),
        told("only", MIDNIGHT + timedelta(hours=16), 30, km=5, mean_risk=0.2, alerts={"info": 1}),
    ])  # fmt: skip
    up_to_date()
    return car


@pytest.fixture
def manager(car: Car) -> Client:
    client = Client()
    client.force_login(make_person("manager@example.com", "north", Role.MANAGER))
    return client


def rows(client: Client, query: str) -> list[dict[str, str]]:
    text = client.get(f"/trips?{query}&export=csv").content.decode()
    return list(csv.DictReader(io.StringIO(text)))


def component(card: Scorecard, name: str) -> Component:
    return next(one for one in card.components if one.name == name)


@pytest.mark.parametrize("of", ["driver", "vehicle"])
@pytest.mark.parametrize("name", NAMES)
def test_the_trips_of_a_component_add_up(car: Car, manager: Client, name: str, of: str) -> None:
    ada = Driver.objects.select_related("fleet").get(slug="ada")
    now = timezone.now()
    card = scorecard.of_driver(ada, now) if of == "driver" else scorecard.of_vehicle(car.vehicle, now)
    query = f"{card.trips_query}&lost={name}&sort=cost"
    owner = ada if of == "driver" else car.vehicle
    assert query.replace("&", "&amp;") in manager.get(owner.get_absolute_url()).content.decode()
    detected, only = rows(manager, query), rows(manager, f"{query}&show=told")
    costs = [float(row["points_of_score"]) for row in detected]
    assert costs == sorted(costs, reverse=True) and min(costs) > 0
    assert len(detected) == (1 if name == "night" else 2) and len(only) == (0 if name == "night" else 1)
    whole = component(card, name).lost
    assert whole and sum([*costs, *(float(row["points_of_score"]) for row in only)]) == pytest.approx(whole)
    assert {row["lost_by"] for row in detected} == {name}


def test_each_trip_says_what_it_lost_itself(car: Car, manager: Client) -> None:
    high = Trip.objects.get(distance_m=30_000.0)
    page = manager.get("/trips?fleet=north&driver=ada&lost=risk&sort=cost").content.decode()
    assert "Points of the trip" in page and "Of the driver’s score" in page and "Most points lost" in page
    assert "−12.00" in page, "a risk of 0.3"
    assert page.index(f"/trips/{high.pk}") < page.index(f"/trips/{Trip.objects.get(distance_m=20_000.0).pk}")
    assert f'href="/trips/{high.pk}?lost=risk#score"' in page
    of_trip = manager.get(f"/trips/{high.pk}?lost=risk").content.decode()
    (marked,) = [part for part in of_trip.split("<li")[1:] if part.startswith(' aria-current="true"')]
    assert "Risk reported by the vehicle" in marked and "−12.0" in marked


@pytest.mark.parametrize(
    "query", ["lost=risk", "lost=risk&driver=nobody&fleet=north", "lost=risk&fleet=other&driver=ada"]
)
def test_without_somebody_whose_score_it_is(car: Car, manager: Client, query: str) -> None:
    page = manager.get(f"/trips?{query}").content.decode()
    assert ("Points of the trip" in page) == (query == "lost=risk"), "no trip of nobody"
    assert "score lost" not in page and "s score</th>" not in page


def test_the_list_without_lost_points_is_as_before(car: Car, manager: Client) -> None:
    page = manager.get("/trips?sort=cost").content.decode()
    assert "Points of the trip" not in page and "Most points lost" not in page
    assert "lost_by" not in rows(manager, "sort=cost")[0]


def test_one_page_asks_a_fixed_number_of_queries(
    car: Car, manager: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(14):
        manager.get("/trips?fleet=north&driver=ada&lost=risk&sort=cost")
