"""The live map: list, filters, positions, who may see what, and what it costs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from fleet.models import Fleet, Motion, Vehicle
from fleet.models.vehicles import motion_of
from fleet.tests.conftest import People, report

Queries = Callable[[int], AbstractContextManager[Any]]


def listed(client: Client, **query: str) -> list[str]:
    vehicles: list[Vehicle] = list(client.get("/", query).context["vehicles"])
    return [vehicle.name for vehicle in vehicles]


def test_a_member_sees_the_fleets_vehicles(client: Client, people: People, vehicles: list[Vehicle]) -> None:
    client.force_login(people.viewer)
    response = client.get("/")
    text = response.content.decode()
    assert response.status_code == 200
    assert listed(client) == ["Car 3", "Van 1", "Van 2"]
    assert "North" in text
    assert "B-AB 1" in text
    assert 'href="/vehicles/north/van-1/"' in text
    assert "private" in response["Cache-Control"]


def test_an_outsider_sees_none_of_them(client: Client, people: People, vehicles: list[Vehicle]) -> None:
    client.force_login(people.outsider)
    assert listed(client) == []
    assert "No vehicles yet" in client.get("/").content.decode()
    assert orjson.loads(client.get("/live/positions").content)["vehicles"] == []


def test_without_logging_in_there_is_only_the_log_in(client: Client, vehicles: list[Vehicle]) -> None:
    assert client.get("/").headers["Location"] == "/login?next=/"
    assert client.get("/live/positions").status_code == 401


def test_a_part_asked_for_after_the_session_ended_sends_the_page_to_the_log_in(
    client: Client, vehicles: list[Vehicle]
) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/?state=idle"}
    response = client.get("/?state=idle", headers=headers)
    assert response.status_code == 401
    assert response["HX-Redirect"] == "/login?next=%2F%3Fstate%3Didle"


def test_state_filter_and_counts(client: Client, people: People, vehicles: list[Vehicle]) -> None:
    client.force_login(people.owner)
    assert listed(client, state="moving") == ["Van 1"]
    assert listed(client, state="never") == ["Car 3"]
    assert listed(client, state="nonsense") == ["Car 3", "Van 1", "Van 2"]
    assert dict(client.get("/").context["states"]) == {
        "moving": 1, "idle": 0, "parked": 1, "charging": 0, "offline": 0, "never": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "found"), [("van", ["Van 1", "Van 2"]), ("ab 2", ["Van 2"]), ("wcv1", ["Van 1"])]
)
def test_search_by_name_plate_and_vin(
    client: Client, people: People, vehicles: list[Vehicle], words: str, found: list[str]
) -> None:
    client.force_login(people.owner)
    assert listed(client, q=words) == found


def test_nothing_found_says_so(client: Client, people: People, vehicles: list[Vehicle]) -> None:
    client.force_login(people.owner)
    assert "Nothing with “zebra”" in client.get("/?q=zebra").content.decode()


@pytest.mark.parametrize(
    ("sort", "first"), [("name", "Car 3"), ("speed", "Van 1"), ("battery", "Van 2"), ("seen", "Van 2")]
)
def test_sorting(client: Client, people: People, vehicles: list[Vehicle], sort: str, first: str) -> None:
    client.force_login(people.owner)
    assert listed(client, sort=sort)[0] == first


def test_htmx_gets_the_list_alone_with_the_counts(
    client: Client, people: People, vehicles: list[Vehicle]
) -> None:
    client.force_login(people.owner)
    response = client.get("/?q=van&state=&sort=name", headers={"HX-Request": "true"})
    text = response.content.decode()
    assert "<html" not in text
    assert '<b id="count-all" hx-swap-oob="true">2</b>' in text
    assert response["HX-Replace-Url"] == "/?q=van"
    assert "HX-Request" in response["Vary"]


def test_pages_of_a_large_fleet(client: Client, people: People, fleet: Fleet) -> None:
    Vehicle.objects.bulk_create(
        Vehicle(fleet=fleet, slug=f"v-{n}", name=f"Vehicle {n:03}") for n in range(120)
    )
    client.force_login(people.owner)
    assert len(listed(client)) == 50
    assert listed(client, page="3")[-1] == "Vehicle 119"
    assert listed(client, page="99") == listed(client, page="3")
    assert "51–100 of 120" in client.get("/?page=2").content.decode()


@pytest.mark.parametrize("vehicles_there", [0, 3, 60])
def test_the_page_costs_the_same_for_any_fleet(
    client: Client,
    people: People,
    fleet: Fleet,
    vehicles_there: int,
    django_assert_num_queries: Queries,
) -> None:
    for number in range(vehicles_there):
        report(Vehicle.objects.create(fleet=fleet, slug=f"v-{number}", name=f"V {number}"), speed=1.0)
    client.force_login(people.owner)
    # session, user, memberships, counts, the rows; fleets for the head of the page
    with django_assert_num_queries(6 if vehicles_there else 5):
        client.get("/")
    with django_assert_num_queries(4):
        client.get("/live/positions")


def test_positions_are_rows_of_what_the_map_needs(
    client: Client, people: People, vehicles: list[Vehicle]
) -> None:
    client.force_login(people.viewer)
    content = orjson.loads(client.get("/live/positions").content)
    rows = {row[2]: row for row in content["vehicles"]}
    assert rows.keys() == {"van-1", "van-2"}
    assert rows["van-1"][:12] == [
        vehicles[0].pk, "north", "van-1", "Van 1", "B-AB 1", "WCV1", "moving", 52.43, 13.53, 90.0, 42.0, 71.5,
    ]  # fmt: skip
    assert content["now"] - rows["van-1"][12] < 60
    assert not content["truncated"]


def test_positions_since_a_moment_leave_out_the_silent(
    client: Client, people: People, vehicles: list[Vehicle]
) -> None:
    client.force_login(people.viewer)
    long_ago = timezone.now() - timedelta(hours=1)
    vehicles[0].state.__class__.objects.filter(pk=vehicles[0].pk).update(received_at=long_ago)
    since = (timezone.now() - timedelta(minutes=5)).timestamp()
    content = orjson.loads(client.get("/live/positions", {"since": str(since)}).content)
    assert [row[2] for row in content["vehicles"]] == ["van-2"]
    everything = orjson.loads(client.get("/live/positions", {"since": "rubbish"}).content)
    assert [row[6] for row in everything["vehicles"]] == ["parked", "offline"]


@pytest.mark.parametrize(
    "values",
    [
        {"speed": 42.0, "ignition": 1.0},
        {"speed": 2.0, "ignition": 1.0},
        {"speed": 0.0, "charging": 1.0},
        {"speed": 0.0, "charging": 0.0, "ignition": 0.0},
        {"speed": 20.0, "charging": 1.0},
        {},
    ],
)
@pytest.mark.parametrize("ago_s", [1, 119, 121])
def test_the_database_knows_the_same_states(fleet: Fleet, values: dict[str, float], ago_s: float) -> None:
    vehicle = Vehicle.objects.create(fleet=fleet, slug="v", name="V")
    state = report(vehicle, ago_s, **values)
    now = timezone.now()
    found: Any = Vehicle.objects.with_motion(now).get(pk=vehicle.pk)
    assert Motion(found.motion) == motion_of(state.values, state.received_at, now)


def test_the_page_is_strict_about_what_it_loads(client: Client, people: People) -> None:
    client.force_login(people.owner)
    response = client.get("/")
    policy = response["Content-Security-Policy"]
    assert "script-src 'self';" in policy + ";"
    assert "default-src 'self'" in policy
    text = response.content.decode()
    assert "<style" not in text
    assert "onclick" not in text
    assert all("src=" in tag for tag in text.split("<script")[1:])
