"""The audit trail: written with the act, read by managers, never changed."""

from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from fleet.audit import Actor, record
from fleet.models import AuditEntry, Fleet, Role
from tests.world import make_car, make_person


@pytest.fixture
def fleet(db: None) -> Fleet:
    return make_car("own", "van").vehicle.fleet


@pytest.fixture
def manager(fleet: Fleet) -> Client:
    client = Client()
    person = make_person("m@example.com", "own", Role.MANAGER)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def write(fleet: Fleet, action: str = "fleet.renamed", actor: str = "ann", **after: Any) -> None:
    record(
        Actor(actor, address="203.0.113.7"),
        action,
        fleet,
        fleet,
        ({"name": "A", "kept": 1}, {"kept": 1, **after}),
    )


def test_only_what_changed_is_kept(fleet: Fleet) -> None:
    write(fleet, name="B")
    entry = AuditEntry.objects.get()
    assert (entry.before, entry.after, entry.object_type) == ({"name": "A"}, {"name": "B"}, "fleet")


def test_an_act_that_failed_leaves_no_trace(fleet: Fleet) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        write(fleet)
        raise RuntimeError
    assert not AuditEntry.objects.exists()


def test_the_page_shows_filters_and_escapes(fleet: Fleet, manager: Client) -> None:
    assert b"Nothing yet" in manager.get("/fleets/own/audit").content
    write(fleet, actor="<i>bob</i>", name="B")
    write(fleet, "token.issued", name="C")
    page = manager.get("/fleets/own/audit").content.decode()
    assert (
        "&lt;i&gt;bob&lt;/i&gt;" in page
        and "203.0.113.7" in page
        and page.index("token.issued") < page.index("renamed")
    )
    assert "renamed" not in manager.get("/fleets/own/audit?action=token").content.decode()
    assert b"Nothing matches" in manager.get("/fleets/own/audit?actor=nobody").content


def test_the_api_pages_through_all_of_it(
    fleet: Fleet, manager: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(25):
        write(fleet, f"thing.n{number}")
    write(make_car("other", "bus").vehicle.fleet)
    with django_assert_max_num_queries(5):
        first = manager.get("/api/v1/fleet/own/audit?limit=10").json()
    rows, following = first["results"], first["next"]
    while following:
        more = manager.get(following).json()
        rows, following = rows + more["results"], more["next"]
    assert [row["action"] for row in rows] == [f"thing.n{number}" for number in reversed(range(25))]
    assert len(manager.get("/api/v1/fleet/own/audit?action=thing.n3").json()["results"]) == 1
    assert manager.get("/api/v1/fleet/own/audit?to=2020-01-01").json()["results"] == []
    assert manager.get("/api/v1/fleet/own/audit?from=yesterday").status_code == 400
