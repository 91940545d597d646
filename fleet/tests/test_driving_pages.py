"""Driving events for people and machines: who sees which, filters, order, files, dismissing, settings."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.models import AuditEntry, Driver, DrivingEvent, DrivingSettings, Role, RollupState
from tests.world import Car, make_car, make_person

LIST, API = "/driving-events", "/api/v1/driving-events"
NOON = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


def event(car: Car, kind: str = "harsh_braking", hours: float = 0, **values: Any) -> DrivingEvent:
    begin = NOON + timedelta(hours=hours)
    known = {
        "ended_at": begin + timedelta(seconds=2),
        "peak_m_s2": 4.0,
        "limit": 3.43,
        "source": "speed",
        "rate_hz": 1.0,
    }
    return DrivingEvent.objects.create(
        fleet=car.vehicle.fleet, vehicle=car.vehicle, kind=kind, started_at=begin, **(known | values)
    )


@pytest.fixture
def cars(db: None) -> tuple[Car, Car]:
    made = make_car("north", "van-a"), make_car("north", "van-b")
    Driver.objects.create(fleet=made[0].vehicle.fleet, slug="ada", name="Ada Berg")
    event(made[0], driver_id="ada", latitude_deg=52.5, longitude_deg=13.4)
    event(
        made[0],
        "speeding",
        1,
        top_speed_m_s=40.0,
        peak_m_s2=None,
        ended_at=NOON + timedelta(hours=1, seconds=90),
    )
    event(made[1], "harsh_cornering", 2, strength=3, peak_m_s2=6.6, driver_id="ben")
    event(make_car("south", "bus"), hours=3)
    return made


def signed_in(email: str, role: str = Role.VIEWER) -> Client:
    client = Client()
    client.force_login(make_person(email, "north", role), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def viewer(cars: Any) -> Client:
    return signed_in("viewer@example.com")


@pytest.fixture
def boss(cars: Any) -> Client:
    return signed_in("boss@example.com", Role.MANAGER)


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("", ["harsh_cornering", "speeding", "harsh_braking"]),
        ("sort=oldest", ["harsh_braking", "speeding", "harsh_cornering"]),
        ("sort=longest", ["speeding", "harsh_cornering", "harsh_braking"]),
        ("sort=strongest", ["harsh_cornering", "harsh_braking", "speeding"]),
        ("kind=speeding", ["speeding"]),
        ("strength=2", ["harsh_cornering"]),
        ("vehicle=van-a", ["speeding", "harsh_braking"]),
        ("driver=ben", ["harsh_cornering"]),
        ("driver=Berg", ["harsh_braking"]),
        (f"from={NOON + timedelta(minutes=90):%Y-%m-%dT%H:%M:%SZ}", ["harsh_cornering"]),
        (f"from={NOON:%Y-%m-%d}&to={NOON:%Y-%m-%d}", ["harsh_cornering", "speeding", "harsh_braking"]),
        (f"to={NOON - timedelta(days=1):%Y-%m-%d}", []),
        ("state=dismissed", []),
        (
            "kind=%00&strength=x&sort=x&state=x&from=x&page=x",
            ["harsh_cornering", "speeding", "harsh_braking"],
        ),
    ],
)
def test_filters_and_order(viewer: Client, query: str, kinds: list[str]) -> None:
    lines = viewer.get(f"{LIST}?{query}&export=csv").content.decode().splitlines()[1:]
    assert [line.split(",")[1] for line in lines] == kinds
    page = viewer.get(f"{LIST}?{query}").content.decode()
    assert page.count("/driving-events/") == len(kinds)


def test_the_list_costs_the_same_for_many(viewer: Client, cars: Any, django_assert_num_queries: Any) -> None:
    for number in range(30):
        event(cars[0], hours=-number - 1, driver_id="ada")
    with django_assert_num_queries(8):  # one of them for the trips they are on
        assert "1–33 of 33" in viewer.get(LIST).content.decode()


def test_a_driver_sees_what_they_drove(cars: Any) -> None:
    client = signed_in("ada@example.com", Role.DRIVER)
    assert client.get(API).json()["results"] == []
    Driver.objects.filter(slug="ada").update(user=client.session["_auth_user_id"])
    assert [row["driver_id"] for row in client.get(API).json()["results"]] == ["ada"]
    other = DrivingEvent.objects.get(driver_id="ben")
    assert client.get(f"{LIST}/{other.pk}").status_code == client.get(f"{API}/{other.pk}").status_code == 404


def test_what_the_api_tells(viewer: Client, cars: Any) -> None:
    rows = viewer.get(f"{API}?vehicle=van-a&kind=harsh_braking").json()["results"]
    assert rows[0]["place"] == {"lat": 52.5, "lng": 13.4} and rows[0]["strength"] == "moderate"
    assert rows[0]["cannot_be_seen"] == ["those that last 0.3 s"] and rows[0]["dismissal"] is None
    one = viewer.get(f"{API}/{rows[0]['id']}")
    assert one.json() == rows[0]
    again = viewer.get(f"{API}/{rows[0]['id']}", headers={"If-None-Match": one["ETag"]})
    assert again.status_code == 304
    device = Client().get(API, headers={"Authorization": f"Bearer {cars[1].token}"}).json()["results"]
    assert [row["kind"] for row in device] == ["harsh_cornering"]
    for wrong in ("kind=x", "strength=x", "from=x", "dismissed=x"):
        assert viewer.get(f"{API}?{wrong}").status_code == 400
    assert (
        len(viewer.get(f"{API}?dismissed=false&strength=severe&fleet=north&driver=ben").json()["results"])
        == 1
    )


def test_dismissing_takes_a_manager_and_a_reason(boss: Client, viewer: Client, cars: Any) -> None:
    found = DrivingEvent.objects.get(driver_id="ada")
    page, act = f"{LIST}/{found.pk}", f"{LIST}/{found.pk}/act"
    assert "Does it not count?" not in viewer.get(page).content.decode()
    assert viewer.post(act, {"act": "dismiss", "reason": "x"}).status_code == 403
    assert "Say why" in boss.post(act, {"act": "dismiss", "reason": " "}, follow=True).content.decode()
    told = boss.post(act, {"act": "dismiss", "reason": "A <child> ran"}, follow=True).content.decode()
    assert "A &lt;child&gt; ran" in told and "It costs no points" in told
    assert "A <child> ran" in boss.get(f"{LIST}?state=dismissed&export=csv").content.decode()
    reply = boss.post(
        f"{API}/{found.pk}/dismiss", json.dumps({"reason": "again"}), content_type="application/json"
    )
    assert reply.json()["dismissal"]["reason"] == "A <child> ran", "the first reason stays"
    car = Client().get(f"{API}/{found.pk}", headers={"Authorization": f"Bearer {cars[0].token}"})
    assert car.json()["dismissal"]["by"] == "", "a device learns nobody's name"
    assert boss.post(f"{API}/{found.pk}/restore").json()["dismissal"] is None
    assert boss.post(f"{API}/{found.pk}/dismiss", "{}", content_type="application/json").status_code == 400
    assert AuditEntry.objects.filter(object_id=str(found.pk)).count() == 2


def test_the_score_over_the_api(viewer: Client, cars: Any) -> None:
    for path in ("drivers/ada", "vehicles/van-a"):
        told = viewer.get(f"/api/v1/{path}/score").json()
        assert (told["score"], told["eligible"], told["score_version"]) == (None, False, 2)
        assert [one["name"] for one in told["components"]] == [
            "harsh_acceleration", "harsh_braking", "harsh_cornering", "speeding", "night", "risk", "alerts",
        ]  # fmt: skip


def test_other_limits(boss: Client, viewer: Client) -> None:
    address = "/fleets/north/driving"
    wish = {
        "acceleration_g": "0.4", "braking_g": "0.45", "cornering_g": "0.5", "speed_limit_kmh": "",
        "speeding_from_s": "10", "idling_from_s": "120", "night_from": "22", "night_to": "5",
    }  # fmt: skip
    assert "0.35" in boss.get(address).content.decode()
    assert viewer.post(address, wish).status_code == 403
    assert boss.post(address, wish | {"braking_g": "7"}).status_code == 400
    RollupState.objects.create(fleet=DrivingEvent.objects.get(driver_id="ada").fleet, time_zone="UTC")
    assert boss.post(address, wish).status_code == 302
    found = DrivingSettings.objects.get()
    assert (found.braking_m_s2, found.speed_limit_kmh, found.version) == (4.41, None, 2)
    assert RollupState.objects.get().time_zone == "", "the night may be another one: summed up anew"
    assert boss.post(address, wish).status_code == 302 and DrivingSettings.objects.get().version == 2
    assert AuditEntry.objects.get(action="driving_settings.changed").after["night_from"] == 22
    assert "found anew" in boss.get(address).content.decode()


def test_days_are_the_readers(cars: Any) -> None:
    late = datetime.combine(NOON.date(), datetime.min.time(), UTC) + timedelta(hours=23, minutes=30)
    event(cars[0], hours=(late - NOON).total_seconds() / 3600, driver_id="night")
    client = Client()
    person = make_person("far@example.com", "north", time_zone="Asia/Tokyo")
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    following = NOON.date() + timedelta(days=1)
    assert ",night," in client.get(f"{LIST}?from={following}&to={following}&export=csv").content.decode()
