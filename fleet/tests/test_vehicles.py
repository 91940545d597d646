"""Vehicles added, changed and retired, in the browser and over the API; each act in the audit trail."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from fleet.models import AuditEntry, Fleet, Role, Vehicle
from fleet.vehicles import LABEL_LENGTH, MAX_LABELS, checked_labels
from tests.world import make_car, make_person

pytestmark = pytest.mark.django_db
API = "/api/v1/vehicles"


@pytest.fixture
def acme(db: None) -> Fleet:
    return Fleet.objects.create(slug="acme", name="Acme")


def login(role: str, fleet: str = "acme", email: str = "") -> Client:
    client = Client()
    person = make_person(email or f"{role}@{fleet}.org", fleet, role)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def manager(acme: Fleet) -> Client:
    return login(Role.MANAGER)


def post(client: Client, **body: Any) -> Any:
    return client.post(API, body, content_type="application/json")


def patch(client: Client, which: str, **body: Any) -> Any:
    return client.patch(f"{API}/{which}", body, content_type="application/json")


class TestApi:
    def test_added_read_and_changed(self, manager: Client) -> None:
        made = post(
            manager, name="Van Sieben", vin="van7", license_plate="B-CV 7", labels=["early", " early ", ""]
        )
        assert made.status_code == 400  # an empty label
        made = post(
            manager, name="Van Sieben", vin="van7", license_plate="B-CV 7", labels=["early", " early "]
        )
        assert made.status_code == 201 and made["Location"] == f"{API}/van-sieben"
        told = made.json()
        assert (told["vehicle_id"], told["vin"], told["labels"]) == ("van-sieben", "VAN7", ["early"])
        for name in ("van-sieben", "VAN7", "B-CV 7"):
            assert manager.get(f"{API}/{name}").json() == told
        changed = patch(manager, "VAN7", vin=None, labels=[], model_year=2024)
        assert changed.status_code == 200
        assert (changed.json()["vin"], changed.json()["labels"], changed.json()["name"]) == (
            None,
            [],
            "Van Sieben",
        )
        entry = AuditEntry.objects.get(action="vehicle.changed")
        assert entry.before == {"vin": "VAN7", "labels": ["early"], "model_year": None}
        assert patch(manager, "van-sieben", model_year=2024).status_code == 200
        assert AuditEntry.objects.filter(action="vehicle.changed").count() == 1  # nothing changed

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "name"),
            ({"name": "x", "vin": "TAKEN1"}, "vin"),
            ({"name": "x", "vin": "a b"}, "vin"),
            ({"name": "x", "model_year": 1066}, "model_year"),
            ({"name": "x", "labels": "early"}, "labels"),
            ({"name": "x", "labels": ["a,b"]}, "labels"),
            ({"name": "x", "kind": "boat"}, "kind"),
            ({"name": "x", "fleet": "rival"}, "fleet"),
        ],
    )
    def test_nonsense_names_its_field(self, manager: Client, body: dict[str, Any], field: str) -> None:
        make_car("rival", "tram", "TAKEN1")
        reply = post(manager, **body)
        assert reply.status_code == 400
        assert reply.json()["errors"][0]["field"].partition("[")[0] == field, reply.json()
        assert not Vehicle.objects.filter(fleet__slug="acme").exists()

    def test_the_same_name_twice_and_the_same_request_twice(self, manager: Client) -> None:
        assert [post(manager, name="Van").json()["vehicle_id"] for _ in range(3)] == ["van", "van-2", "van-3"]
        key = {"Idempotency-Key": "one"}
        ids = {
            manager.post(API, {"name": "Bus"}, content_type="application/json", headers=key).json()[
                "vehicle_id"
            ]
            for _ in range(2)
        }
        assert ids == {"bus"} and Vehicle.objects.count() == 4

    def test_retired_it_leaves_lists_but_not_history(self, manager: Client) -> None:
        car = make_car("acme", "van")
        assert patch(manager, "van", retired=True).json()["retired_at"]
        assert manager.get(API).json()["results"] == []
        assert manager.get("/vehicles/acme/van/").status_code == 200
        assert "Retired" in manager.get("/vehicles/acme/van/").content.decode()
        assert "van" not in manager.get("/", headers={"HX-Request": "true"}).content.decode()
        assert patch(manager, "van", retired=True).status_code == 200
        assert patch(manager, "van", retired=False).json()["retired_at"] is None
        assert len(manager.get(API).json()["results"]) == 1
        told = AuditEntry.objects.filter(object_id=str(car.vehicle.pk)).order_by("id")
        assert list(told.values_list("action", flat=True)) == ["vehicle.retired", "vehicle.revived"]

    def test_who_may(self, manager: Client) -> None:
        make_car("acme", "van")
        viewer = login(Role.VIEWER)
        Fleet.objects.create(slug="rival", name="Rival")
        rival = login(Role.OWNER, "rival")
        assert post(viewer, name="x").status_code == 403 and patch(viewer, "van", name="x").status_code == 403
        assert patch(rival, "van", name="x").status_code == 404
        assert viewer.get(f"{API}/van").status_code == 200


class TestPages:
    def test_added_and_edited(self, manager: Client) -> None:
        made = manager.post(
            "/vehicles/new", {"fleet": "acme", "name": "Van", "labels": "early, night,", "kind": "vehicle"}
        )
        assert made["Location"] == "/vehicles/acme/van/"
        assert Vehicle.objects.get().labels == ["early", "night"]
        form = manager.get("/vehicles/acme/van/edit").content.decode()
        assert 'value="early, night"' in form
        body = {"name": "Van 2", "vin": "v2", "kind": "vehicle", "labels": "night"}
        assert manager.post("/vehicles/acme/van/edit", body)["Location"] == "/vehicles/acme/van/"
        found = Vehicle.objects.get()
        assert (found.name, found.vin, found.slug, found.labels) == ("Van 2", "V2", "van", ["night"])
        make_car("acme", "bus", "TAKEN1")
        refused = manager.post("/vehicles/acme/van/edit", {**body, "vin": "taken1"})
        assert refused.status_code == 400 and "Another vehicle has this VIN" in refused.content.decode()
        assert manager.post("/vehicles/acme/van/edit", {"do": "retire"}).status_code == 302
        assert "/vehicles/acme/van/" not in manager.get("/vehicles").content.decode()
        assert "/vehicles/acme/van/" in manager.get("/vehicles?state=retired").content.decode()
        assert manager.post("/vehicles/acme/van/edit", {"do": "revive"}).status_code == 302

    def test_the_list(self, manager: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        for number in range(8):
            make_car("acme", f"van-{number}")
        make_car("rival", "tram")
        # session, person, roles, count, vehicles, fleets to choose, to add to, and for the head
        with django_assert_num_queries(8):
            page = manager.get("/vehicles").content.decode()
        assert "tram" not in page and page.count("<tr>") == 9
        lines = manager.get("/vehicles?q=van-3&export=csv").content.decode().splitlines()
        assert len(lines) == 2 and lines[1].startswith("van-3,van-3,acme")
        assert "No vehicle matches" in manager.get("/vehicles?q=nothing%00&sort=x&state=x").content.decode()


@given(st.lists(st.text(max_size=LABEL_LENGTH), max_size=MAX_LABELS))
def test_labels_are_settled_after_one_look(labels: list[str]) -> None:
    try:
        found = checked_labels(labels)
    except ValidationError:
        assert any("," in label or "\0" in label for label in labels)
        return
    assert checked_labels(list(found)) == found and len(set(found)) == len(found)
    assert all(label.strip() == label and label for label in found)
