"""Whose a minute of a vehicle is: by summaries and assignments, and the same whatever came first."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings as DjangoSettings

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.aggregation import kept, rollups
from fleet.aggregation.driverminutes import Owned, Turn, owned
from fleet.audit import Actor
from fleet.behaviour import assignments
from fleet.behaviour.assignments import Wish
from fleet.journeys.trips import keep
from fleet.models import Driver, DriverMinute, Fleet, Role, TripSummary, VehicleMinute
from fleet.ranges import Range
from fleet.tests.test_rollups import told
from tests.deliveries import deliver, derive_all, drain_all
from tests.demo_drives import recorded
from tests.world import Car, make_car, make_person

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
VIEWERS = "django.contrib.auth.backends.ModelBackend"


def minutes(of: float) -> datetime:
    return NOON + timedelta(minutes=of)


def turn(driver: str, start: float, end: float, is_told: bool = True) -> Turn:
    return Turn(is_told, minutes(start), driver, minutes(end))


@pytest.mark.parametrize(
    ("turns", "whose"),
    [
        ([turn("ada", 2.5, 4.2)], [("ada", 2, 5)]),
        ([turn("ada", -5, 60)], [("ada", 0, 10)]),
        ([turn("ada", 1, 3.4), turn("ben", 3.6, 5)], [("ada", 1, 3), ("ben", 3, 6)]),
        ([turn("ada", 1, 6), turn("ben", 2, 3)], [("ada", 1, 2), ("ben", 2, 4), ("ada", 4, 7)]),
        # What a device told goes before what was detected, though that began later.
        ([turn("ada", 1, 4), turn("ben", 2, 6, False)], [("ada", 1, 5), ("ben", 5, 7)]),
        ([turn("ada", 20, 30)], []),
    ],
)
def test_whose_a_minute_is(turns: list[Turn], whose: list[tuple[str, float, float]]) -> None:
    wanted = [Owned(7, driver, minutes(opens), minutes(closes)) for driver, opens, closes in whose]
    found = owned({7: turns}, [Range(7, NOON, minutes(10))])
    assert [(one.driver, at) for one in found for at in each_minute(one)] == [
        (one.driver, at) for one in wanted for at in each_minute(one)
    ]


def each_minute(one: Owned) -> list[datetime]:
    return [one.opens + timedelta(minutes=n) for n in range((one.closes - one.opens) // timedelta(minutes=1))]


@pytest.fixture(autouse=True)
def kept_for_ever(settings: DjangoSettings) -> None:
    settings.MINUTE_ROLLUP_DAYS = settings.HOUR_ROLLUP_DAYS = 0


def sum_up() -> None:
    derive_all()
    while rollups.keep_up(timezone.now() + timedelta(hours=1)):
        pass


def ready(fleet: str) -> Car:
    car = make_car(fleet, "van")
    for slug in ("ada", "ben"):
        Driver.objects.create(fleet=car.vehicle.fleet, slug=slug)
    return car


def acts(car: Car) -> list[Callable[[], object]]:
    """Two real drives of ten minutes, two hours between them. Ben has the vehicle; of the second one the device says
    that it was Ada."""
    ben = Driver.objects.get(fleet=car.vehicle.fleet, slug="ben")
    had = Wish(car.vehicle, ben, minutes(-60), minutes(200))
    parts: list[Callable[[], object]] = []
    for hours in (0, 2):
        messages = recorded(car, 600, minutes(60 * hours).timestamp())
        parts += [partial(send, car, messages[:300]), partial(send, car, messages[300:])]
    return [
        *parts,
        lambda: keep(car.vehicle, [told("t", minutes(120), 10)]),
        lambda: assignments.add(Actor("somebody"), had),
    ]


def send(car: Car, messages: list[Telemetry]) -> None:
    deliver(car, messages)
    drain_all()


def rows(car: Car) -> list[Any]:
    columns = (
        "minute",
        "driver_id",
        "records",
        "timed_ms",
        "moved_mm",
        "standing_ms",
        "used_j",
        "top_speed_mm_s",
    )
    return list(DriverMinute.objects.filter(vehicle=car.vehicle).order_by("minute").values_list(*columns))


def test_minutes_are_the_drivers_whatever_came_first(db: None) -> None:
    pictures = []
    for seed in range(4):
        car = ready(f"fleet-{seed}")
        order = acts(car)
        random.Random(seed).shuffle(order)
        for number, act in enumerate(order):
            act()
            if number % 2 or seed == 3:
                sum_up()
        sum_up()
        pictures.append(rows(car))
    assert all(picture == pictures[0] for picture in pictures)
    assert [row[1] for row in pictures[0]] == ["ben"] * 10 + ["ada"] * 10
    ours = VehicleMinute.objects.filter(vehicle=car.vehicle).order_by("minute")
    assert [row[0] for row in pictures[-1]] == [one.minute for one in ours]
    assert [row[2:5] for row in pictures[-1]] == [(one.records, one.timed_ms, one.moved_mm) for one in ours]


def test_minutes_follow_whoever_drove(db: None) -> None:
    car = ready("north")
    for act in acts(car)[:5]:
        act()
    sum_up()
    assert [row[1] for row in rows(car)] == ["ada"] * 10
    keep(car.vehicle, [told("t", minutes(120), 10, driver="ben")])
    sum_up()
    assert [row[1] for row in rows(car)] == ["ben"] * 10
    TripSummary.objects.all().delete()
    rollups.touch(rollups.driving(car.vehicle.fleet_id, car.vehicle.pk, [NOON.date()]))
    sum_up()
    assert rows(car) == []


def test_minutes_are_forgotten_with_the_vehicles(db: None, settings: DjangoSettings) -> None:
    car = ready("north")
    for act in acts(car):
        act()
    sum_up()
    assert rows(car)
    settings.MINUTE_ROLLUP_DAYS = 2
    kept.prune(timezone.now())
    rollups.touch(rollups.driving(car.vehicle.fleet_id, car.vehicle.pk, [NOON.date()]))
    sum_up()
    assert rows(car) == []


@pytest.fixture
def client(db: None) -> Client:
    car = ready("north")
    Fleet.objects.update(time_zone="UTC")
    for act in acts(car):
        act()
    sum_up()
    client = Client()
    client.force_login(make_person("v@example.com", "north"), backend=VIEWERS)
    return client


def points(client: Client, query: str) -> dict[str, float]:
    answer = client.get(f"/api/v1/fleet/north/trends?from=2026-06-01&to=2026-06-01&metric=distance&{query}")
    assert answer.status_code == 200, answer.content
    return {one.get("time", one["date"]): one["value"] for one in answer.json()["points"] if one["value"]}


def test_trends_of_a_driver_and_of_a_vehicle(client: Client) -> None:
    by_minute = points(client, "driver=ada&resolution=minute")
    assert list(by_minute) == [f"2026-06-01T14:{minute:02}:00Z" for minute in range(10)]
    theirs = points(client, "driver=ben&resolution=minute")
    assert not by_minute.keys() & theirs.keys()
    assert (
        by_minute | theirs
        == points(client, "vehicle=van&resolution=minute")
        == points(client, "resolution=minute")
    )
    for resolution in ("hour", "day", "month"):
        ada, ben = (points(client, f"driver={who}&resolution={resolution}") for who in ("ada", "ben"))
        assert ada == dict.fromkeys(ada, 10_000.0) and len(ada) == 1
        van = points(client, f"vehicle=van&resolution={resolution}")
        assert sum(van.values()) == pytest.approx(sum(ada.values()) + sum(ben.values()))
        assert van == points(client, f"resolution={resolution}")


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("driver=nobody", 404, "no such driver"),
        ("vehicle=nothing", 400, "is no vehicle of this fleet"),
        ("vehicle=van&driver=ada", 400, "either vehicle or driver"),
        ("driver=ada&metric=active_vehicles", 400, "not known of drivers"),
    ],
)
def test_what_cannot_be_asked_of_one(client: Client, query: str, status: int, said: str) -> None:
    answer = client.get(f"/api/v1/fleet/north/trends?{query}")
    assert answer.status_code == status and said in answer.content.decode()


def test_a_driver_sees_no_other_drivers_trends(client: Client) -> None:
    person = make_person("ada@example.com", "north", Role.DRIVER)
    Driver.objects.filter(slug="ada").update(user=person)
    own = Client()
    own.force_login(person, backend=VIEWERS)
    assert own.get("/api/v1/fleet/north/trends?driver=ada&metric=distance").status_code == 200
    assert own.get("/api/v1/fleet/north/trends?driver=ben&metric=distance").status_code == 404
