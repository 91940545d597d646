"""A member with the role driver: every page answers, and no page leads to one that is not for them."""

import re
from typing import Any

import pytest

from fleet.models import Role
from tests.test_permissions import ROWS, World
from tests.world import make_person

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
