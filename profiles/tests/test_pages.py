"""The pages of drivers: list, one driver, export, erasing with a confirmation; what each role is offered."""

from typing import Any

import pytest
from django.test import Client

from fleet.models import AuditEntry, Driver, Fleet, Role
from profiles.models import DriverProfile, EncryptedProfile
from profiles.tests.conftest import Speaker, person

PAGE = "/drivers/north/driver_123/"


@pytest.fixture
def boss(manager: Speaker) -> Client:
    return manager.client


@pytest.fixture
def viewer(one: Speaker) -> Client:
    return person("viewer@example.com").client


@pytest.fixture
def written(one: Speaker, two: Speaker) -> None:
    one.put("first ciphertext", 1)
    two.put("second ciphertext", 2)
    Driver.objects.update(name="Ada Berg")


def text_of(reply: Any, status: int = 200) -> str:
    assert reply.status_code == status, reply.content
    return str(reply.content.decode())


class TestList:
    def test_empty(self, boss: Client, viewer: Client) -> None:
        assert "No drivers yet" in text_of(boss.get("/drivers/")) and "Add a driver" in text_of(
            boss.get("/drivers/")
        )
        assert "Add a driver" not in text_of(viewer.get("/drivers/"))

    def test_searched_and_paged(self, boss: Client, written: None, django_assert_num_queries: Any) -> None:
        fleet = Fleet.objects.get(slug="north")
        Driver.objects.bulk_create(
            Driver(fleet=fleet, slug=f"d{n:02}", name=f"Bo {n:02}", active=False) for n in range(55)
        )
        # session, person, fleets, count, drivers; for the frame fleets again; memberships
        with django_assert_num_queries(7):
            text = text_of(boss.get("/drivers/"))
        assert "Ada Berg" in text and "1–50 of 56" in text and "page=2" in text
        assert "Bo 54" in text_of(boss.get("/drivers/?page=2"))
        found = text_of(boss.get("/drivers/?q=ada+driver_1", headers={"hx-request": "true"}))
        assert "Ada Berg" in found and "Bo" not in found and "<html" not in found
        assert "Bo 00" not in text_of(boss.get("/drivers/?state=active"))
        assert "No driver matches" in text_of(boss.get("/drivers/?q=%00zz&page=x"))

    def test_adding(self, boss: Client) -> None:
        reply = boss.post("/drivers/", {"driver_id": "driver_9", "name": "<b>Cy</b>", "fleet": "north"})
        assert reply.status_code == 302 and reply.headers["Location"] == "/drivers/north/driver_9/"
        text = text_of(boss.get("/drivers/north/driver_9/"))
        assert "&lt;b&gt;Cy" in text and "No profile yet" in text and "<b>Cy" not in text
        assert AuditEntry.objects.get().action == "driver.created"
        again = boss.post("/drivers/", {"driver_id": "driver_9", "name": "", "fleet": "north"})
        assert "has a driver of that id" in text_of(again, 400)
        wrong = boss.post("/drivers/", {"driver_id": "no way", "fleet": "south"})
        assert "1 to 64 letters" in text_of(wrong, 400) and Driver.objects.count() == 1


class TestDriver:
    def test_versions_and_holders(self, boss: Client, written: None, django_assert_num_queries: Any) -> None:
        # session, person, driver, head, copies, versions; four for the score; one each for its weeks, the newest
        # trips and the assignments; one to choose from; for the frame fleets; memberships
        with django_assert_num_queries(17):
            text = text_of(boss.get(PAGE))
        for part in (
            "Ada Berg",
            "driver_123",
            "van-1",
            "van-2",
            "current",
            "Restore version 1",
            "Erase profile",
        ):
            assert part in text, part
        assert "ciphertext" not in text and "Restore version 2" not in text

    def test_a_viewer_is_offered_nothing_to_change(self, viewer: Client, written: None) -> None:
        text = text_of(viewer.get(PAGE))
        assert "Ada Berg" in text
        for part in ("Restore", "Erase", "Export", "Edit", '<form method="post" class'):
            assert part not in text, part

    def test_changing(self, boss: Client, written: None) -> None:
        wanted = {"name": "Ada Stern", "user": "", "labels": "night, , adr,night", "active": "on"}
        assert boss.post(PAGE, wanted).headers["Location"] == PAGE
        driver = Driver.objects.get()
        assert (driver.name, driver.labels, driver.active) == ("Ada Stern", ["night", "adr"], True)
        text = text_of(boss.post(PAGE, wanted | {"user": "stranger@example.com"}), 400)
        assert "invite the person first" in text and "stranger@example.com" in text

    def test_restoring(self, boss: Client, written: None, one: Speaker) -> None:
        reply = boss.post(f"{PAGE}versions/1/restore", follow=True)
        assert "is current again, as version 3" in text_of(reply) and "restored from 1" in text_of(reply)
        assert one.get().json()["encrypted_profile"] == "first ciphertext"
        assert boss.post(f"{PAGE}versions/9/restore").status_code == 404
        assert boss.get(f"{PAGE}versions/1/restore").status_code == 405

    def test_exporting(self, boss: Client, written: None) -> None:
        reply = boss.get(f"{PAGE}export")
        assert reply["Content-Disposition"] == 'attachment; filename="profile-driver_123.json"'
        assert reply.json()["profile"]["versions"][1]["encrypted_profile"] == "second ciphertext"

    def test_erasing_asks_first(self, boss: Client, written: None, one: Speaker) -> None:
        text = text_of(boss.get(f"{PAGE}erase"))
        assert "2 versions will be deleted" in text and "van-1" in text
        assert "Nothing was erased" in text_of(boss.post(f"{PAGE}erase", {"confirm": "yes"}))
        assert EncryptedProfile.objects.count() == 2
        text = text_of(boss.post(f"{PAGE}erase", {"confirm": "driver_123"}, follow=True))
        assert "Erased: 2 versions" in text and "does not know of the erasure yet" in text
        assert one.get().status_code == 410
        assert "told of the erasure" in text_of(boss.get(PAGE))
        assert "may store a new profile" in text_of(boss.post(f"{PAGE}lift", follow=True))
        assert DriverProfile.objects.get().erased_at is None and one.put("fresh").status_code == 201

    def test_it_is_the_drivers_own(self, written: None) -> None:
        ada = person("ada@example.com", role=Role.DRIVER)
        assert ada.client.get(PAGE).status_code == 404
        Driver.objects.update(user=ada.client.session["_auth_user_id"])
        text = text_of(ada.client.get(PAGE))
        assert "Export" in text and "Erase" not in text
        assert ada.client.get(f"{PAGE}export").status_code == 200


def test_the_admin_shows_versions_and_no_ciphertext(written: None, admin_client: Client) -> None:
    row = EncryptedProfile.objects.first()
    assert row
    text = text_of(admin_client.get(f"/admin/profiles/encryptedprofile/{row.pk}/change/"))
    assert row.sha256 in text and "first ciphertext" not in text
    for page in ("encryptedprofile", "driverprofile", "profilecopy"):
        assert "driver_123" in text_of(admin_client.get(f"/admin/profiles/{page}/"))
