"""A profile as cars fetch and write it: versions, entity tags, conflicts, limits, holders."""

from typing import Any

import pytest
from django.test import Client

from fleet.models import AuditEntry, Driver, Role
from profiles.models import EncryptedProfile, ProfileCopy
from profiles.tests.conftest import Speaker, device, person
from tests.world import Car, make_car


def test_a_client_that_knows_no_entity_tags(one: Speaker, two: Speaker) -> None:
    """The document's client: PUT with a version, GET, PUT the next."""
    first = one.put("gAAAAAB-1", 1, {"schema": 2})
    assert first.status_code == 201
    assert first.json() == {"driver_id": "driver_123", "version": 1, "status": "stored"}
    assert first.headers["ETag"] == '"1"'
    fetched = two.get()
    assert fetched.json() == {
        "driver_id": "driver_123", "encrypted_profile": "gAAAAAB-1", "version": 1, "schema": 2,
    }  # fmt: skip
    assert two.put("gAAAAAB-2", 2).status_code == 200
    assert one.get().json()["encrypted_profile"] == "gAAAAAB-2"
    driver = Driver.objects.get()
    assert (driver.slug, driver.name, driver.fleet.slug) == ("driver_123", "", "north")


@pytest.mark.parametrize("version", [None, 0, 1, 5, 2**53])
def test_the_first_version_may_be_any_number(one: Speaker, version: int | None) -> None:
    reply = one.put("a", version)
    assert reply.status_code == 201 and reply.json()["version"] == (1 if version is None else version)
    assert one.put("b", reply.json()["version"] + 1).status_code == (200 if version != 2**53 else 400)


def test_entity_tags(one: Speaker, two: Speaker) -> None:
    one.put("a", 1)
    tag = two.get().headers["ETag"]
    reply = two.put("b", If_Match=tag)
    assert reply.status_code == 200 and reply.headers["ETag"] == '"2"'
    again = two.get(If_None_Match='W/"1", "2"')
    assert again.status_code == 304 and again.content == b"" and again.headers["ETag"] == '"2"'
    assert two.get(If_None_Match='"1"').status_code == 200
    assert two.get(If_None_Match="*").status_code == 304


@pytest.mark.parametrize(
    ("version", "headers"),
    [
        (1, {}), (3, {}), (None, {}), (2, {"If_Match": '"0"'}), (2, {"If_Match": 'W/"1"'}),
        (2, {"If_Match": '"abc"'}), (2, {"If_Match": ""}), (2, {"If_None_Match": "*"}),
    ],
)  # fmt: skip
def test_a_conflict_overwrites_nothing(one: Speaker, version: int | None, headers: dict[str, str]) -> None:
    one.put("a", 1)
    reply = one.put("b", version, **headers)
    assert reply.status_code == 412 and reply.headers["Content-Type"] == "application/problem+json"
    assert (reply.json()["version"], reply.json()["etag"], reply.headers["ETag"]) == (1, '"1"', '"1"')
    assert "version 2" in reply.json()["detail"]
    assert list(EncryptedProfile.objects.values_list("version", "ciphertext")) == [(1, "a")]


@pytest.mark.parametrize("tag", ['"1"', '"0", "1"', "1", "*"])
def test_if_match_decides_whatever_the_body_says(one: Speaker, tag: str) -> None:
    one.put("a", 1)
    reply = one.put("b", 1, If_Match=tag)
    assert reply.status_code == 200 and reply.json()["version"] == 2


def test_if_match_where_nothing_is_stored(one: Speaker) -> None:
    reply = one.put("a", 1, If_Match='"1"')
    assert reply.status_code == 412 and reply.json()["version"] is None
    assert not Driver.objects.exists()


def test_the_same_again_is_harmless(one: Speaker) -> None:
    one.put("a", 1)
    one.put("b", 2, {"schema": 1}, If_Match='"1"')
    for version, headers in ((2, {"If_Match": '"1"'}), (2, {}), (3, {}), (None, {})):
        reply = one.put("b", version, {"schema": 1}, **headers)
        assert (reply.status_code, reply.json()["version"], reply.json()["status"]) == (200, 2, "unchanged")
    assert EncryptedProfile.objects.count() == 2
    assert one.put("b", 3, {"schema": 2}).json()["version"] == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "encrypted_profile"), ({"encrypted_profile": ""}, "encrypted_profile"),
        ({"encrypted_profile": {"a": 1}}, "encrypted_profile"), ({"encrypted_profile": "a\0"}, "encrypted_profile"),
        ({"encrypted_profile": "a\ud800"}, "encrypted_profile"), ([], ""), ([1], ""),
        ({"encrypted_profile": "a", "version": -1}, "version"),
        ({"encrypted_profile": "a", "version": "two"}, "version"),
        ({"encrypted_profile": "a", "driver_id": "driver_9"}, "driver_id"),
        ({"encrypted_profile": "a", "note": "x\0"}, "note"), ({"encrypted_profile": "a", "note": {"x": 1e300}}, "note"),
        ({"encrypted_profile": "a", "n\0": 1}, "n?"), ({"encrypted_profile": "a", "note": "\udc00"}, "note"),
        ({"encrypted_profile": "a", "note": [[[[[[[[[1]]]]]]]]]}, "note"),
        ({"encrypted_profile": "a", "note": "x" * 17_000}, ""),
    ],
)  # fmt: skip
def test_what_cannot_be_stored(one: Speaker, body: Any, field: str) -> None:
    reply = one.client.put(one.url, body, content_type="application/json")
    assert reply.status_code == 400, reply.content
    assert reply.json()["errors"][0]["field"] == field
    assert not Driver.objects.exists()


def test_json_that_is_a_trap(one: Speaker) -> None:
    for body in ('{"encrypted_profile": "a", "x": 1e999}', "[" * 100_000, "{", b"\xff"):
        reply = one.client.put(one.url, body, content_type="application/json")
        assert reply.status_code == 400, (body[:40], reply.status_code)


def test_a_mebibyte_is_the_limit(one: Speaker) -> None:
    assert one.put("x" * 2**20, 1).status_code == 201
    assert one.put("x" * (2**20 + 1), 2).status_code == 413
    assert one.put("é" * (2**19 + 1), 2).status_code == 413
    assert one.put("x" * (2**21 + 1), 2).status_code == 413
    assert len(one.get().json()["encrypted_profile"]) == 2**20


def test_metadata_comes_back_as_it_went(one: Speaker) -> None:
    further = {"updated_at": 1732186800.5, "list": [1, None, True], "nested": {"é": "ü\\u0000"}, "big": 2**62}
    one.put("a", 1, further)
    told = one.get().json()
    assert {name: told[name] for name in further} == further


def test_fewer_than_kept(one: Speaker, settings: Any) -> None:
    settings.PROFILE_VERSIONS_KEPT = 3
    for version in range(1, 7):
        assert one.put(f"text {version}", version).status_code < 300
    assert list(EncryptedProfile.objects.order_by("version").values_list("version", flat=True)) == [4, 5, 6]


def test_who_holds_a_copy(one: Speaker, two: Speaker, manager: Speaker, cars: tuple[Car, Car]) -> None:
    one.put("a", 1)
    manager.get()
    assert [copy.vehicle for copy in ProfileCopy.objects.all()] == [cars[0].vehicle]
    two.client.head(two.url)
    assert ProfileCopy.objects.count() == 1
    two.get()
    one.put("b", 2)
    two.get(If_None_Match='"2"')
    rows = manager.get("/copies").json()["results"]
    assert [(row["vehicle_id"], row["version"]) for row in rows] == [("van-2", 2), ("van-1", 2)]


def test_nobody_outside_reads_or_writes(one: Speaker, manager: Speaker) -> None:
    one.put("a", 1)
    stranger = person("south@example.com", make_car("south").vehicle.fleet.slug, Role.OWNER)
    for more in ("", "/versions", "/copies", "/export"):
        assert stranger.get(more).status_code == 404
    assert stranger.put("b", 2).status_code == 404 and stranger.delete().status_code == 404
    assert Speaker(Client()).put("b", 2).status_code == 401


def test_the_same_id_in_another_fleet_is_another_driver(one: Speaker) -> None:
    one.put("a", 1)
    foreign = device(make_car("south"))
    assert foreign.get().status_code == 404
    assert foreign.put("z", 1).status_code == 201
    assert one.get().json()["encrypted_profile"] == "a"
    assert foreign.get().json()["encrypted_profile"] == "z"


def test_viewers_see_that_it_is_there_and_not_what(one: Speaker) -> None:
    one.put("secret ciphertext", 1)
    viewer = person("viewer@example.com")
    assert viewer.get().status_code == 403 and viewer.put("b", 2).status_code == 403
    reply = viewer.get("/versions")
    assert reply.status_code == 200 and b"secret" not in reply.content
    assert (reply.json()["results"][0]["version"], reply.json()["results"][0]["vehicle_id"]) == (1, "van-1")


def test_a_manager_writes_on_record(one: Speaker, manager: Speaker) -> None:
    assert manager.put("a").status_code == 404  # only cars make drivers by writing
    one.put("a", 1)
    assert manager.put("b", If_Match='"1"').status_code == 200
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_name, entry.after) == (
        "profile.uploaded",
        "driver_123",
        {"version": 2},
    )


def test_an_id_no_driver_may_have(one: Speaker) -> None:
    one.url = "/api/v1/drivers/no%20way/profile"
    assert one.put("a", 1).json()["errors"][0]["field"] == "driver_id"
    assert one.get().status_code == 404
    one.url = "/api/v1/drivers/%00/profile"
    assert one.get().status_code == 404 and one.put("a", 1).status_code == 404


def test_how_many_queries(one: Speaker, manager: Speaker, django_assert_num_queries: Any) -> None:
    for version in range(1, 6):
        one.put(f"{version}", version)
    with django_assert_num_queries(5):  # session, person, memberships, driver, versions
        assert len(manager.get("/versions").json()["results"]) == 5
    with django_assert_num_queries(4):  # driver, head, version, copy; the token is cached
        one.get()


@pytest.mark.parametrize(("scopes", "status"), [(["telemetry"], 403), (["files"], 201), ([], 201)])
def test_a_token_limited_to_something_else(cars: tuple[Car, Car], scopes: list[str], status: int) -> None:
    cars[0].device.tokens.update(scopes=scopes)
    assert device(cars[0]).put("a", 1).status_code == status
