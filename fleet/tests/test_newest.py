"""Lists that grow with history page through their newest rows."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from fleet.models import Trip
from fleet.pages import newest
from tests.journeys import make_trip
from tests.world import Car, make_car, make_person


@pytest.fixture
def van(db: None) -> Car:
    """Eight trips of a day each, a kilometre less every day: the newest is the shortest."""
    car = make_car("north", "van")
    for days in range(8):
        make_trip(car, timezone.now() - timedelta(days=days), distance_m=1_000.0 * (days + 1))
    return car


@pytest.fixture
def client(van: Car) -> Client:
    client = Client()
    person = make_person("v@example.com", "north")
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def shown(client: Client, query: str) -> tuple[list[str], str]:
    """The distances in order, and what is said of how many there are."""
    page = client.get(f"/trips?{query}").content.decode()
    told = re.search(r"<span>([0-9]+–[0-9]+ of .*?)</span>", page)
    assert told
    return re.findall(r'<td class="number">(\d\.0) km</td>', page), told[1]


@pytest.mark.parametrize(
    ("query", "distances"),
    [("", "1234"), ("sort=old", "8765"), ("sort=far", "4321"), ("sort=far&to=2000-01-01", "")],
)
def test_pages_hold_the_newest(
    client: Client, monkeypatch: pytest.MonkeyPatch, query: str, distances: str
) -> None:
    monkeypatch.setattr(newest, "MOST", 4)
    if not distances:
        assert "No trip matches" in client.get(f"/trips?{query}").content.decode()
        return
    found, told = shown(client, query)
    assert found[:4] == [f"{one}.0" for one in distances]
    which = "oldest" if query == "sort=old" else "newest"
    assert told == f"1–4 of the {which} 4; ask for days to see others"


def test_all_of_few_are_shown(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "MOST", Trip.objects.count())
    found, told = shown(client, "sort=far")
    assert (found, told) == ([f"{one}.0" for one in "87654321"], "1–8 of 8")


def test_days_show_the_others(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "MOST", 4)
    until = timezone.now() - timedelta(days=5)
    found, told = shown(client, f"sort=far&to={until:%Y-%m-%d}")
    assert found == ["8.0", "7.0", "6.0"] and told == "1–3 of 3"


@pytest.mark.parametrize("path", ["/stops", "/charging", "/driving-events"])
def test_other_lists_do_the_same(client: Client, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(newest, "MOST", 3)
    page = client.get(f"{path}?sort=long&sort=longest").content.decode()
    assert ("of the newest 3" in page) is (path == "/stops")
