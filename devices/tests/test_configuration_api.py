"""Configurations over HTTP: what a device fetches and reports, guarded edits, groups, drift in lists; and the pages."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from devices import configuration
from devices.configuration import Edit, Owner, write
from devices.models import Command, ConfigVersion, DeviceConfig, DeviceGroup
from fleet.audit import SYSTEM
from fleet.models import AuditEntry, Role
from tests.world import Car, make_car, make_person

FLEET = "/api/v1/fleet/north/config"
PAGES = "/fleets/north/configuration"


@pytest.fixture
def car(db: None) -> Car:
    return make_car("north", "van-1")


@pytest.fixture
def manager(car: Car) -> Client:
    return person("manager", Role.MANAGER)


def person(name: str, role: str) -> Client:
    client = Client()
    client.force_login(
        make_person(f"{name}@example.com", "north", role), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


def device_of(car: Car) -> Client:
    return Client(headers={"authorization": f"Bearer {car.token}"})


def own(car: Car, more: str = "") -> str:
    return f"/api/v1/devices/{car.device.slug}/config{more}"


def put(
    client: Client, path: str, document: Any, match: str | None = "*", method: str = "put", **more: Any
) -> Any:
    headers = {} if match is None else {"if-match": match}
    body = {"config": document, **more}
    return getattr(client, method)(path, body, content_type="application/json", headers=headers)


def send(client: Client, path: str, body: Any, method: str = "post") -> Any:
    return getattr(client, method)(path, body, content_type="application/json")


class TestFetching:
    def test_the_merged_configuration_with_its_tag(self, car: Car, manager: Client) -> None:
        first = device_of(car).get(own(car))
        assert first.json() == {"device_id": car.device.slug, "version": 0, "config": {}, "changed_at": None}
        put(manager, FLEET, {"a": 1, "telemetry": {"send_interval_s": 10}})
        put(manager, own(car), {"a": None})
        told = device_of(car).get(own(car), headers={"if-none-match": first["ETag"]})
        assert told.status_code == 200 and told.json()["config"] == {"telemetry": {"send_interval_s": 10}}
        assert told.json()["version"] == 2 and told["ETag"] == f'"{DeviceConfig.objects.get().content_id}"'
        again = device_of(car).get(own(car), headers={"if-none-match": f'"x", W/{told["ETag"]}'})
        assert again.status_code == 304 and not again.content and again["ETag"] == told["ETag"]

    def test_people_see_which_layer_says_what(self, car: Car, manager: Client) -> None:
        put(manager, FLEET, {"a": 1, "b": {"c": 2}})
        put(manager, own(car), {"b": {"d": 3}}, note="only here")
        told = manager.get(own(car))
        assert told.json()["sources"] == {"/a": "fleet", "/b/c": "fleet", "/b/d": "device"}
        assert (told.json()["own"]["config"], told.json()["own"]["note"]) == ({"b": {"d": 3}}, "only here")
        assert manager.get(own(car), headers={"if-none-match": told["ETag"]}).status_code == 304
        assert put(manager, own(car), {"b": 1}, told["ETag"]).status_code == 200
        assert put(manager, own(car), {"b": 2}, told["ETag"]).status_code == 412

    def test_a_poll_costs_one_query(
        self, car: Car, manager: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        put(manager, FLEET, {"a": 1})
        client = device_of(car)
        tag = client.get(own(car))["ETag"]
        with django_assert_num_queries(1):
            assert client.get(own(car), headers={"if-none-match": tag}).status_code == 304

    def test_a_device_that_came_later(self, car: Car, manager: Client) -> None:
        put(manager, FLEET, {"a": 1})
        late = make_car("north")
        assert device_of(late).get(own(late)).json()["config"] == {"a": 1}
        assert not Command.objects.filter(device=late.device).exists()  # it has just asked
        late.device.vehicle = make_car("south").vehicle
        late.device.save()
        moved = device_of(late).get(own(late)).json()
        assert (moved["config"], moved["version"]) == ({}, 2)


class TestEditing:
    def test_guarded_by_the_tag(self, car: Car, manager: Client) -> None:
        told = manager.get(FLEET)
        assert (told["ETag"], told.json()["devices"]) == ('"0"', 1)
        assert put(manager, FLEET, {"a": 1}, None).status_code == 428
        done = put(manager, FLEET, {"a": 1}, told["ETag"], note="first")
        assert done.json() == {"version": 1, "status": "stored", "affected": 1} and done["ETag"] == '"1"'
        stale = put(manager, FLEET, {"a": 2}, told["ETag"])
        assert (stale.status_code, stale.json()["version"], stale["ETag"]) == (412, 1, '"1"')
        assert put(manager, FLEET, {"b": 2, "a": None}, '"1"', "patch").json()["version"] == 2
        assert manager.get(FLEET).json()["config"] == {"b": 2}
        assert put(manager, FLEET, {"b": 2.0}).json() == {"version": 2, "status": "unchanged", "affected": 0}
        entry = AuditEntry.objects.filter(action="config.changed").earliest("id")
        assert entry.after == {"version": 1, "note": "first", "devices": 1, "/a": 1}

    def test_what_is_wrong_is_said_by_pointer(self, car: Car, manager: Client) -> None:
        wrong = put(
            manager, FLEET, {"telemetry": {"send_interval_s": 0, "batch_size": "many"}, "log_level": 3}
        )
        assert wrong.status_code == 400
        assert {error["field"]: error["reason"] for error in wrong.json()["errors"]} == {
            "/telemetry/send_interval_s": "Must be between 1 and 86400 s.",
            "/telemetry/batch_size": "Must be a number.",
            "/log_level": "Must be text.",
        }
        assert put(manager, FLEET, [1]).json()["errors"][0]["field"] == "config"
        assert send(manager, FLEET, {}, "put").status_code == 400
        assert not ConfigVersion.objects.exists()

    def test_history_and_restoring(self, car: Car, manager: Client) -> None:
        for number in (1, 2):
            put(manager, own(car), {"a": number})
        restored = manager.post(own(car, "/versions/1/restore"), headers={"if-match": '"2"'})
        assert restored.json() == {"version": 3, "status": "stored", "affected": 1}
        rows = manager.get(own(car, "/versions")).json()["results"]
        assert [(row["version"], row["config"], row["restored_from"]) for row in rows] == [
            (3, {"a": 1}, 1), (2, {"a": 2}, None), (1, {"a": 1}, None),
        ]  # fmt: skip
        assert rows[0]["author"] == "manager@example.com"
        assert manager.post(own(car, "/versions/9/restore"), headers={"if-match": "*"}).status_code == 404
        assert manager.post(own(car, "/versions/1/restore")).status_code == 428

    def test_known_keys_as_a_schema(self, car: Car) -> None:
        told = device_of(car).get("/api/v1/config/keys").json()
        interval = told["properties"]["telemetry"]["properties"]["send_interval_s"]
        assert (interval["minimum"], interval["maximum"], interval["x-unit"]) == (1, 86400, "s")


class TestReporting:
    @pytest.mark.parametrize("way", ["report", "put", "details", "car-status"])
    def test_every_way_to_say_it(self, car: Car, manager: Client, way: str) -> None:
        car.vehicle.plate = "AB 12"
        car.vehicle.save()
        put(manager, FLEET, {"a": 1})
        says = {"config_version": 1, "config_error": "too cold"}
        client, path = device_of(car), f"/api/v1/devices/{car.device.slug}"
        answer = {
            "report": lambda: send(client, own(car, "/report"), {"version": 1, "error": "too cold"}),
            "put": lambda: send(client, path, {"status": "ok", **says}, "put"),
            "details": lambda: send(client, path, {"status": "ok", "details": says}, "put"),
            "car-status": lambda: send(
                client, "/api/car-status",
                {"timestamp": "2026-01-01T00:00:00Z", "license_plate": "AB12", "status": "ok", "details": says},
            ),
        }[way]()  # fmt: skip
        assert answer.status_code == 200, answer.content
        told = client.get(path).json()
        assert told["config"]["state"] == "refused" and told["config"]["reason"] == "too cold"
        assert "config_version" not in told["metadata"]

    def test_drift_in_lists(self, car: Car, manager: Client) -> None:
        other = make_car("north", "van-2")
        put(manager, FLEET, {"a": 1})
        send(device_of(other), own(other, "/report"), {"version": 1})

        def listed(query: str) -> list[str]:
            return [row["id"] for row in manager.get(f"/api/v1/devices?{query}").json()["results"]]

        assert listed("drifted=true") == [car.device.slug] and listed("drifted=0") == [other.device.slug]
        told = manager.get(f"/api/v1/devices/{car.device.slug}").json()["config"]
        assert (told["wanted_version"], told["running_version"], told["state"]) == (1, None, "behind")
        assert told["drifted_since"]
        assert manager.get(FLEET).json()["drifted"] == 1
        panel = "/vehicles/north/van-1/devices"
        fragment = manager.get(panel).content.decode()
        assert "1 never confirmed" in fragment and f"{PAGES}/devices/{car.device.slug}" in fragment
        send(device_of(car), own(car, "/report"), {"version": 1})
        put(manager, FLEET, {"a": 2})
        assert "behind just now" in manager.get(panel).content.decode()

    def test_only_the_device_knows(self, car: Car, manager: Client) -> None:
        path = f"/api/v1/devices/{car.device.slug}"
        assert send(manager, path, {"config_version": 1}, "put").status_code == 400
        assert send(manager, own(car, "/report"), {"version": 1}).status_code == 403
        assert send(device_of(car), own(car, "/report"), {"version": -1}).status_code == 400
        assert (
            send(
                device_of(car), path, {"details": {"config_version": "x"}, "status": "ok"}, "put"
            ).status_code
            == 200
        )
        assert not DeviceConfig.objects.exists()


class TestGroups:
    GROUPS = "/api/v1/fleet/north/groups"

    def test_made_filled_renamed_deleted(self, car: Car, manager: Client) -> None:
        other, south = make_car("north"), make_car("south")
        made = send(manager, self.GROUPS, {"name": "Night shift"})
        assert (made.status_code, made["Location"]) == (201, f"{self.GROUPS}/night-shift")
        assert send(manager, self.GROUPS, {"name": "Night shift"}).status_code == 400
        group = made["Location"]
        put(manager, f"{group}/config", {"a": 2})
        told = send(manager, group, {"devices": [car.device.slug, other.device.slug]}, "patch").json()
        assert (told["devices"], told["drifted"]) == (2, 2)
        refused = send(manager, group, {"add": [south.device.slug]}, "patch")
        assert refused.status_code == 400 and south.device.slug in refused.json()["detail"]
        assert send(manager, group, {"devices": [other.device.slug]}, "patch").json()["devices"] == 1
        assert device_of(car).get(own(car)).json()["config"] == {}
        assert send(manager, group, {"name": "Nights", "remove": [other.device.slug]}, "patch").json() == {
            **told, "name": "Nights", "devices": 0, "drifted": 0,
        }  # fmt: skip
        send(manager, group, {"add": [car.device.slug]}, "patch")
        assert [row["id"] for row in manager.get("/api/v1/devices?group=night-shift").json()["results"]] == [
            car.device.slug
        ]
        assert manager.delete(group).status_code == 204 and not DeviceGroup.objects.exists()
        assert device_of(car).get(own(car)).json()["config"] == {}

    def test_how_many_queries(
        self, car: Car, manager: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(5):
            send(manager, self.GROUPS, {"name": f"G{number}"})
        manager.get(self.GROUPS)
        with django_assert_num_queries(5):  # session, user, roles, fleet, groups
            assert len(manager.get(self.GROUPS).json()["results"]) == 5


class TestPages:
    def test_type_review_apply(self, car: Car, manager: Client) -> None:
        wrong = manager.post(f"{PAGES}/edit", {"do": "review", "document": '{"a": 1', "basis": "0"})
        assert wrong.status_code == 400 and b"line 1, column 8" in wrong.content
        typed = {"document": '{"a": 1}', "basis": "0", "note": "why"}
        review = manager.post(f"{PAGES}/edit", typed | {"do": "review"}).content.decode()
        assert "<b>1</b> device will be told" in review and "+  &quot;a&quot;: 1" in review
        assert not ConfigVersion.objects.exists()
        done = manager.post(f"{PAGES}/edit", typed | {"do": "apply"}, follow=True)
        assert b"Version 1 is in force. 1 device told" in done.content
        stale = manager.post(f"{PAGES}/edit", typed | {"document": '{"a": 5}', "do": "apply"})
        assert stale.status_code == 409 and b"Somebody else was quicker" in stale.content
        assert ConfigVersion.objects.get().document == {"a": 1}
        without = manager.post(f"{PAGES}/edit", {"document": '{"a": 5}', "do": "apply"})
        assert without.status_code == 409

    def test_history(self, car: Car, manager: Client) -> None:
        assert b"No version yet" in manager.get(f"{PAGES}/history").content
        for number in (1, 2, 3):
            put(manager, FLEET, {"a": number})
        page = manager.get(f"{PAGES}/history?from=1&to=3").content.decode()
        assert "-  &quot;a&quot;: 1" in page and "+  &quot;a&quot;: 3" in page
        assert manager.get(f"{PAGES}/history?from=1&to=9").status_code == 404
        stale = manager.post(f"{PAGES}/history", {"version": "1", "basis": "2"}, follow=True)
        assert b"Nothing was changed: version 3 stands" in stale.content
        manager.post(f"{PAGES}/history", {"version": "1", "basis": "3"})
        assert ConfigVersion.objects.latest("number").document == {"a": 1}

    def test_the_list_filters_sorts_moves_and_exports(self, car: Car, manager: Client) -> None:
        other = make_car("north", "=bus")
        manager.post(PAGES, {"do": "make", "name": "Night shift"})
        manager.post(PAGES, {"do": "move", "into": "night-shift", "device": [car.device.pk]})
        put(manager, "/api/v1/fleet/north/groups/night-shift/config", {"a": 1})
        for query, shown in (
            ("", 2), ("state=drifted", 1), ("state=current", 1), ("state=refused", 0), ("group=night-shift", 1),
            ("group=-", 1), ("q=van-1", 1), ("q=%00", 2), ("sort=vehicle&page=9", 2),
        ):  # fmt: skip
            page = manager.get(f"{PAGES}?{query}", headers={"HX-Request": "true"})
            assert page.content.count(b'name="device"') == shown, query
        rows = manager.get(f"{PAGES}?export=csv").content.decode().splitlines()
        assert len(rows) == 3 and any(",'=bus," in row for row in rows) and "night-shift,1,,behind" in rows[1]
        manager.post(PAGES, {"all": "1", "into": "night-shift", "group": "-"})
        assert DeviceConfig.objects.filter(version=1, device=other.device).exists()
        manager.post(PAGES, {"do": "move", "into": "-", "device": [car.device.pk, other.device.pk]})
        assert not DeviceGroup.objects.get().members.exists()
        assert (
            b"type night-shift"
            in manager.post(f"{PAGES}/groups/night-shift", {"do": "delete"}, follow=True).content
        )
        manager.post(f"{PAGES}/groups/night-shift", {"do": "delete", "confirm": "night-shift"})
        assert not DeviceGroup.objects.exists()

    def test_a_device_with_what_it_refused(self, car: Car, manager: Client) -> None:
        assert b"Nothing yet" in manager.get(f"{PAGES}/devices/{car.device.slug}").content
        put(manager, FLEET, {"a": {"b": "<x>"}})
        send(device_of(car), own(car, "/report"), {"version": 1, "error": "<i>no</i>"})
        page = manager.get(f"{PAGES}/devices/{car.device.slug}").content.decode()
        assert "&lt;i&gt;no&lt;/i&gt;" in page and "/a/b" in page and "<x>" not in page

    def test_how_many_queries(self, car: Car, manager: Client, django_assert_max_num_queries: Any) -> None:
        for _ in range(6):
            make_car("north")
        put(manager, FLEET, {"a": 1})
        with django_assert_max_num_queries(11):
            assert manager.get(PAGES).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_two_managers_at_once_one_is_told() -> None:
    """Each began from version 1; exactly one of them makes version 2, and no edit is lost unseen."""
    car = make_car("north", "van-1")
    owner = Owner(car.vehicle.fleet)
    write(SYSTEM, owner, Edit({"a": 0}))
    start, outcomes = threading.Barrier(4), list[str]()

    def edit(number: int) -> None:
        start.wait()
        try:
            write(SYSTEM, owner, Edit({"a": number + 1}, "", frozenset({1})))
            outcomes.append("written")
        except configuration.ConflictError:
            outcomes.append("conflict")
        connection.close()

    together(edit, 4)
    assert sorted(outcomes) == ["conflict"] * 3 + ["written"]
    assert ConfigVersion.objects.count() == 2
    row = DeviceConfig.objects.select_related("content").get()
    assert (row.version, row.content.document) == (2, owner.layer().document)


@pytest.mark.django_db(transaction=True)
def test_edits_and_reports_at_once() -> None:
    """Layers of fleet and device, and the device's reports, in one another's way: what stands is the merge of all."""
    from django.utils import timezone

    from devices import drift

    car = make_car("north", "van-1")
    fleet, start = Owner(car.vehicle.fleet), threading.Barrier(3)
    own_layer = Owner(car.vehicle.fleet, device=car.device)

    def act(which: int) -> None:
        start.wait()
        for number in range(1, 6):
            if which < 2:
                write(SYSTEM, (fleet, own_layer)[which], Edit({"ab"[which]: number}))
            else:
                drift.heard(car.device, drift.ConfigReport(number, timezone.now()))
        connection.close()

    together(act, 3)
    row = DeviceConfig.objects.select_related("content").get()
    assert row.content.document == {"a": 5, "b": 5} and row.version == 10
    assert [each.version for each in car.device.config_versions.order_by("version")] == list(range(1, 11))
    waiting = Command.objects.get(action="update_config", state="queued")
    assert waiting.parameters == {"version": 10}


def together(act: Any, count: int) -> None:
    threads = [threading.Thread(target=act, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
