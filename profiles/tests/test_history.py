"""Versions, restoring, exporting, erasing, and allowing a new profile."""

from typing import Any

import pytest

from fleet.models import AuditEntry, Driver, Role, User
from profiles.models import DriverProfile, EncryptedProfile, ProfileCopy
from profiles.tests.conftest import Speaker, person


@pytest.fixture
def written(one: Speaker, two: Speaker) -> Speaker:
    """Three versions, by two cars."""
    for version, car in ((1, one), (2, two), (3, one)):
        assert car.put(f"text {version}", version, {"note": version}).status_code < 300
    return one


def versions(speaker: Speaker) -> list[tuple[int, str | None, int | None]]:
    rows = speaker.get("/versions").json()["results"]
    return [(row["version"], row["vehicle_id"], row["restored_from"]) for row in rows]


def test_versions_newest_first(written: Speaker, manager: Speaker) -> None:
    assert versions(manager) == [(3, "van-1", None), (2, "van-2", None), (1, "van-1", None)]
    row = manager.get("/versions").json()["results"][0]
    assert row["size_bytes"] == 6 and len(row["sha256"]) == 64 and row["metadata"] == {"note": 3}
    page = manager.get("/versions?limit=2").json()
    assert [row["version"] for row in manager.client.get(page["next"]).json()["results"]] == [1]


def test_restoring_makes_a_new_version(written: Speaker, manager: Speaker) -> None:
    reply = manager.post("/versions/1/restore")
    assert (reply.status_code, reply.json()["version"], reply.headers["ETag"]) == (201, 4, '"4"')
    told = written.get().json()
    assert (told["encrypted_profile"], told["version"], told["note"]) == ("text 1", 4, 1)
    assert versions(manager)[0] == (4, None, 1)
    assert written.put("based on 3", If_Match='"3"').status_code == 412
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.before, entry.after) == (
        "profile.restored", {"version": 3}, {"version": 4, "restored_from": 1},
    )  # fmt: skip


def test_what_cannot_be_restored(written: Speaker, manager: Speaker) -> None:
    assert manager.post("/versions/9/restore").status_code == 404
    assert manager.post("/versions/3/restore").status_code == 400
    assert written.post("/versions/1/restore").status_code == 403
    assert EncryptedProfile.objects.count() == 3 and not AuditEntry.objects.exists()


def test_an_export_holds_everything(written: Speaker, manager: Speaker) -> None:
    Driver.objects.update(name="Ada Berg")
    reply = manager.get("/export")
    assert reply.headers["Content-Disposition"] == 'attachment; filename="profile-driver_123.json"'
    told = reply.json()
    assert told["driver"]["name"] == "Ada Berg" and told["profile"]["current_version"] == 3
    rows = told["profile"]["versions"]
    assert [row["encrypted_profile"] for row in rows] == ["text 1", "text 2", "text 3"]
    assert [row["metadata"]["note"] for row in rows] == [1, 2, 3]
    copies = [(copy["vehicle_id"], copy["version"]) for copy in told["profile"]["copies"]]
    assert copies == [("van-1", 3), ("van-2", 2)]
    assert told["history"][0]["action"] == "profile.exported"


def test_drivers_export_their_own(written: Speaker, manager: Speaker) -> None:
    ada = person("ada@example.com", role=Role.DRIVER)
    assert ada.get("/export").status_code == 404
    Driver.objects.update(user=User.objects.get(email="ada@example.com"))
    assert ada.get("/export").status_code == 200 and ada.get().status_code == 200
    assert ada.delete().status_code == 403 and ada.put("x", 4).status_code == 403
    assert written.get("/export").status_code == 403


def test_erasing(written: Speaker, two: Speaker, manager: Speaker) -> None:
    assert manager.delete().status_code == 204
    assert not EncryptedProfile.objects.exists()
    head = DriverProfile.objects.get()
    assert head.erased_at and head.erased_versions == 3 and head.version == 3
    assert str(head.erased_by) == "manager@example.com"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.before) == ("profile.erased", {"versions": 3})
    for reply in (two.get(), two.put("text 4", 4), two.put("text 3", 3, {"note": 3}), manager.get()):
        assert reply.status_code == 410 and reply.headers["Content-Type"] == "application/problem+json"
    assert manager.post("/versions/1/restore").status_code == 410
    assert not EncryptedProfile.objects.exists()
    assert manager.delete().status_code == 204 and AuditEntry.objects.count() == 1


def test_an_erasure_reaches_the_cars(written: Speaker, two: Speaker, manager: Speaker) -> None:
    manager.delete()
    two.get()
    told = {copy.vehicle.slug: copy.told_erased_at for copy in ProfileCopy.objects.select_related("vehicle")}
    assert told["van-1"] is None and told["van-2"] is not None


def test_a_new_profile_after_an_erasure(written: Speaker, two: Speaker, manager: Speaker) -> None:
    manager.delete()
    assert manager.post("/lift").status_code == 204
    assert written.get().status_code == 404
    reply = written.put("fresh", 1)
    assert (reply.status_code, reply.json()["version"]) == (201, 4)  # numbers are never used again
    assert ProfileCopy.objects.get(vehicle__slug="van-1").told_erased_at is None
    assert manager.post("/lift").status_code == 204
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == [
        "profile.erased",
        "profile.erasure_lifted",
    ]


def test_erasing_before_anything_was_written(one: Speaker, manager: Speaker, cars: Any) -> None:
    Driver.objects.create(fleet=cars[0].vehicle.fleet, slug="driver_123")
    assert manager.delete().status_code == 204
    assert one.put("a", 1).status_code == 410


@pytest.mark.parametrize("who", ["viewer", "device"])
def test_only_managers_erase_and_lift(written: Speaker, who: str) -> None:
    speaker = written if who == "device" else person("viewer@example.com")
    assert speaker.delete().status_code == 403 and speaker.post("/lift").status_code == 403
    assert EncryptedProfile.objects.count() == 3
