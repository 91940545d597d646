"""Pages with a slash too many or too few."""

import pytest
from django.test import Client

from tests.world import make_car, make_person


@pytest.fixture
def client(db: None) -> Client:
    make_car("north", "van")
    client = Client()
    person = make_person("v@example.com", "north")
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("/vehicles/north/van", "/vehicles/north/van/"),
        ("/vehicles/?q=van&page=1", "/vehicles?q=van&page=1"),
        ("/trips/", "/trips"),
    ],
)
def test_a_page_is_shown_where_it_is(client: Client, asked: str, shown: str) -> None:
    answer = client.get(asked)
    assert (answer.status_code, answer["Location"]) == (302, shown)
    assert client.get(shown).status_code == 200


@pytest.mark.parametrize("asked", ["/vehicles/south/van/", "/nothing", "/nothing/"])
def test_what_is_not_there_stays_so(client: Client, asked: str) -> None:
    assert client.get(asked).status_code == 404


def test_what_is_sent_goes_nowhere_else(client: Client) -> None:
    assert client.post("/vehicles/north/van", {"name": "x"}).status_code == 404
