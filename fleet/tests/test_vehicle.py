"""The vehicle page: what it says, to whom, and before the first record."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import Client

from fleet.models import User, Vehicle
from fleet.readings import gauges, text_of
from fleet.tests.conftest import People

Queries = Callable[[int], AbstractContextManager[Any]]
URL = "/vehicles/north/van-1/"


def test_a_viewer_sees_the_vehicle_as_it_is(client: Client, people: People, vehicles: list[Vehicle]) -> None:
    client.force_login(people.viewer)
    response = client.get(URL)
    text = response.content.decode()
    assert response.status_code == 200
    for part in (
        "Van 1",
        "B-AB 1",
        "WCV1",
        "Moving",
        "71.5",
        "−3.5",
        "90° E",
        "reconstructed",
        ">sent<",
        "Verified",
    ):
        assert part in text, part
    assert "private" in response["Cache-Control"]


def test_the_part_is_the_same_template(client: Client, people: People, vehicles: list[Vehicle]) -> None:
    client.force_login(people.viewer)
    part = client.get(URL + "now").content.decode()
    assert "<html" not in part
    assert 'data-signal="battery"' in part


@pytest.mark.parametrize("url", [URL, URL + "now", "/vehicles/south/van-1/", "/vehicles/north/nobody/"])
def test_somebody_elses_vehicle_does_not_exist(
    client: Client, people: People, vehicles: list[Vehicle], url: str
) -> None:
    client.force_login(people.outsider)
    response = client.get(url)
    assert response.status_code == 404
    assert "Van 1" not in response.content.decode()


def test_without_logging_in(client: Client, vehicles: list[Vehicle]) -> None:
    assert client.get(URL).headers["Location"] == f"/login?next={URL}"
    assert client.get(URL + "now").status_code == 401


def test_before_the_first_record(client: Client, people: People, vehicles: list[Vehicle]) -> None:
    client.force_login(people.viewer)
    text = client.get("/vehicles/north/car-3/").content.decode()
    assert "Waiting for the first record" in text
    assert "Never seen" in text


def test_an_administrator_sees_every_fleet(client: Client, vehicles: list[Vehicle]) -> None:
    client.force_login(User.objects.create_superuser("root@example.com", "secret"))
    assert client.get(URL).status_code == 200


def test_times_are_in_the_readers_zone(client: Client, people: People, vehicles: list[Vehicle]) -> None:
    people.viewer.time_zone = "Asia/Tokyo"
    people.viewer.save()
    client.force_login(people.viewer)
    response = client.get(URL)
    assert "Asia/Tokyo" in response.content.decode()
    assert "+09:00" in response.content.decode()


def test_what_the_page_costs(
    client: Client, people: People, vehicles: list[Vehicle], django_assert_num_queries: Queries
) -> None:
    client.force_login(people.viewer)
    with django_assert_num_queries(
        16
    ):  # four for the score, four for private time, two for its hours, one for who drives it
        client.get(URL)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("speed", 41.6, "42"),
        ("speed", -0.2, "0"),
        ("power", -20.04, "−20.0"),
        ("odometer", 31204.6, "31,204.6"),
        ("heading", 359.0, "359° N"),
        ("ignition", 1.0, "on"),
        ("something_new", 1.234, "1.23"),
    ],
)
def test_readings_as_text(name: str, value: float, text: str) -> None:
    assert text_of(name, value) == text


def test_gauges_come_in_the_order_people_look_for_them() -> None:
    found = list(gauges({"zebra": 1.0, "power": -20.0, "speed": 30.0, "label": "x"}, ["speed"]))
    assert [gauge.name for gauge in found] == ["speed", "power", "zebra"]
    assert [gauge.reconstructed for gauge in found] == [True, False, False]
    assert found[1].bar == (32.0, 8.0)


def test_error_pages_have_our_look(client: Client, people: People) -> None:
    assert "Nothing here" in client.get("/nowhere").content.decode()
    client.force_login(people.viewer)
    assert "To the live map" in client.get("/nowhere").content.decode()
