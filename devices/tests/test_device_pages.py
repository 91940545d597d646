"""Devices in the browser: the list, one device, its tokens and account; who may do what, and what it costs."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from devices import commands
from devices.auth import tokens
from devices.commands import Order
from devices.models import Command, Device, DeviceToken, State
from devices.status import Report, note
from fleet.audit import Actor
from fleet.models import AuditEntry, Role, User, Vehicle, VehicleState
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}
TOKEN = re.compile(r"cvy_[0-9a-f]{8}_[\w-]{43}")


@pytest.fixture
def car(db: None) -> Car:
    return make_car("acme", "van")


def login(email: str, role: str) -> Client:
    client = Client()
    user = make_person(email, "acme", role)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def manager(car: Car) -> Client:
    return login("ann@example.com", Role.MANAGER)


def text(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.status_code
    return str(response.content.decode())


def works(token: str) -> bool:
    tokens.clear()
    return Client().get("/api/v1/vehicles", headers={"authorization": f"Bearer {token}"}).status_code == 200


def act(client: Client, car: Car, do: str, **fields: Any) -> Any:
    return client.post(f"/devices/acme/{car.device.slug}/act", {"do": do, **fields})


class TestTheList:
    def test_filters_and_sorts(self, car: Car, manager: Client) -> None:
        quiet, other, gone = (
            make_car(*place) for place in (("acme", "bus"), ("rival", "tram"), ("acme", "cab"))
        )
        note(car.device.pk, Report("driving", timezone.now(), {}))
        Device.objects.filter(pk=gone.device.pk).update(active=False)
        page = text(manager.get("/devices"))
        assert car.device.slug in page and quiet.device.slug in page and "driving" in page
        assert other.device.slug not in page and gone.device.slug not in page
        for query, found in {
            "q=van": car, "state=online": car, "state=never": quiet, "state=retired": gone, "q=acme+bus": quiet,
            "token=none&state=all": gone,
        }.items():  # fmt: skip
            part = text(manager.get(f"/devices?{query}", headers=HX))
            shown = [each.device.slug in part for each in (car, quiet, gone)]
            assert shown == [each is found for each in (car, quiet, gone)], query
            assert "<html" not in part
        heard = text(manager.get("/devices?sort=heard"))
        assert heard.index(car.device.slug) < heard.index(quiet.device.slug)
        silent = text(manager.get("/devices?sort=silent"))
        assert silent.index(quiet.device.slug) < silent.index(car.device.slug)
        assert "No device matches" in text(manager.get("/devices?q=nothing"))
        text(manager.get("/devices?q=%00&state=x&sort=x&token=x&page=x"))

    def test_a_record_of_the_vehicle_is_heard_of_its_only_device(self, car: Car, manager: Client) -> None:
        for number in range(3):  # numbers of devices and vehicles must not be taken for one another
            Vehicle.objects.create(fleet=car.vehicle.fleet, slug=f"empty-{number}", name="Empty")
        bus, now = make_car("acme", "bus"), timezone.now()
        VehicleState.objects.create(vehicle=bus.vehicle, time=now, received_at=now)
        assert "acme-bus" in text(manager.get("/devices?state=online"))
        second = bus.vehicle.devices.create(slug="acme-bus-2", name="second")
        assert "acme-bus" not in text(manager.get("/devices?state=online"))  # which of them, nobody knows
        Device.objects.filter(pk=second.pk).update(active=False)
        assert "acme-bus<" in text(manager.get("/devices?state=online"))

    @pytest.mark.parametrize(
        ("fields", "state"),
        [
            ({}, "never used"),
            ({"last_used_at": timedelta(0)}, "in use"),
            ({"last_used_at": timedelta(0), "expires_at": timedelta(days=13)}, "expires soon"),
            ({"last_used_at": timedelta(0), "expires_at": timedelta(days=15)}, "in use"),
            ({"expires_at": timedelta(seconds=-1)}, "no usable token"),
            ({"revoked_at": timedelta(0)}, "no usable token"),
        ],
    )
    def test_says_how_its_tokens_are(
        self, car: Car, manager: Client, fields: dict[str, timedelta], state: str
    ) -> None:
        moments = {name: timezone.now() + apart for name, apart in fields.items()}
        DeviceToken.objects.filter(device=car.device).update(**moments)
        page = text(manager.get("/devices", headers=HX))
        assert f">{state}</span>" in page

    def test_exports_what_it_shows(self, car: Car, manager: Client) -> None:
        Device.objects.filter(pk=car.device.pk).update(name="=cmd()", metadata={"firmware": "1.4"})
        make_car("acme", "bus")
        lines = text(manager.get("/devices?q=van&export=csv")).splitlines()
        assert len(lines) == 2 and lines[1].startswith("'=cmd(),acme-van,acme,van") and ",1.4," in lines[1]

    def test_what_it_costs(
        self, car: Car, manager: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(12):
            note(make_car("acme", f"van-{number}").device.pk, Report("on", timezone.now(), {}))
        # session, person, roles, count, devices, newest reports, fleets to choose, to add to, and for the head
        with django_assert_num_queries(9):
            manager.get("/devices")
        with django_assert_num_queries(7):
            manager.get("/devices", headers=HX)


class TestOneDevice:
    def test_shows_what_there_is(self, car: Car, manager: Client) -> None:
        note(car.device.pk, Report("charging", timezone.now(), {"plug": "CCS"}, "bms"))
        commands.send(Actor("somebody"), car.device, Order("honk"))
        page = text(manager.get("/devices/acme/acme-van/"))
        for words in ("charging", "plug: CCS", "Honk", "Queued", "Revoke"):
            assert words in page
        assert car.token not in page

    def test_of_another_fleet_does_not_exist(self, car: Car, manager: Client) -> None:
        rival = make_car("rival", "tram")
        for path in (f"rival/{rival.device.slug}", f"acme/{rival.device.slug}", f"rival/{car.device.slug}"):
            assert manager.get(f"/devices/{path}/").status_code == 404
            assert manager.post(f"/devices/{path}/act", {"do": "retire"}).status_code == 404
        assert Device.objects.get(pk=rival.device.pk).active

    def test_a_viewer_reads_and_changes_nothing(self, car: Car) -> None:
        viewer, driver = login("v@example.com", Role.VIEWER), login("d@example.com", Role.DRIVER)
        page = text(viewer.get("/devices/acme/acme-van/"))
        assert (
            "Revoke" not in page
            and "Retire" not in page
            and "Add a device" not in text(viewer.get("/devices"))
        )
        assert "Send and watch" not in text(driver.get("/devices/acme/acme-van/"))
        for do in ("issue", "rotate", "revoke", "account", "retire"):
            assert act(viewer, car, do, name="x", token=car.token_row.prefix).status_code == 403
        assert works(car.token)

    def test_what_it_costs(
        self, car: Car, manager: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(20):
            note(car.device.pk, Report("on", timezone.now() - timedelta(minutes=number), {}))
            DeviceToken.objects.issue(car.device, f"token {number}")
            commands.send(Actor("somebody"), car.device, Order("honk"))
        # session, person, roles, device, condition (2), reports, installs, commands, tokens, audit, fleets
        with django_assert_num_queries(12):
            manager.get("/devices/acme/acme-van/")


class TestTokens:
    def test_issued_once_rotated_and_revoked(self, car: Car, manager: Client) -> None:
        own = car.token_row.prefix
        answer = act(manager, car, "issue", name="spare", scopes=["telemetry"], days="30")
        page = text(answer)
        [shown] = set(TOKEN.findall(page))
        assert works(shown) is False  # telemetry only
        assert "no-store" in answer["Cache-Control"] and "curl" in page
        assert not TOKEN.findall(text(manager.get("/devices/acme/acme-van/")))
        token = DeviceToken.objects.get(name="spare")
        assert token.scopes == ["telemetry"] and token.expires_at and token.created_by
        [rotated] = set(TOKEN.findall(text(act(manager, car, "rotate", token=token.prefix))))
        assert rotated != shown and DeviceToken.objects.filter(name="spare").count() == 2
        assert works(car.token)
        assert act(manager, car, "revoke", token=own).status_code == 302
        assert not works(car.token)
        told = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
        assert told == ["token.issued", "token.issued", "token.rotated", "token.revoked"]

    def test_what_is_refused_says_why(self, car: Car, manager: Client) -> None:
        assert "Say what the token is for" in text(act(manager, car, "issue", name=" "), 400)
        assert "Choose what to do" in text(act(manager, car, "explode"), 400)
        assert act(manager, car, "revoke", token="00000000").status_code == 404
        car.token_row.revoke()
        assert "has ended already" in text(act(manager, car, "rotate", token=car.token_row.prefix), 400)

    def test_all_scopes_mean_no_limit(self, car: Car, manager: Client) -> None:
        scopes = ["telemetry", "commands", "files", "read"]
        [shown] = set(TOKEN.findall(text(act(manager, car, "issue", name="all", scopes=scopes))))
        assert works(shown) and DeviceToken.objects.get(name="all").scopes == []


class TestAccount:
    def log_in(self, password: str) -> int:
        body = {"email": "box@example.com", "password": password}
        return Client().post("/api/v1/auth/login", body, content_type="application/json").status_code

    def password(self, answer: Any) -> str:
        assert "no-store" in answer["Cache-Control"]
        found = re.search(r'id="secret">([^<]+)<', text(answer))
        assert found
        return found[1]

    def test_made_reset_and_disabled(self, car: Car, manager: Client) -> None:
        first = self.password(act(manager, car, "account", email=" Box@Example.com "))
        assert self.log_in(first) == 200
        assert "has an account" in text(act(manager, car, "account", email="b@example.com"), 400)
        second = self.password(act(manager, car, "reset"))
        assert (self.log_in(first), self.log_in(second)) == (401, 200)
        assert act(manager, car, "disable").status_code == 302
        assert self.log_in(second) == 401
        assert self.log_in(self.password(act(manager, car, "reset"))) == 200
        told = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
        assert told == ["account.created", "account.reset", "account.disabled", "account.reset"]
        assert not any(
            first in str(entry.after) or second in str(entry.after) for entry in AuditEntry.objects.all()
        )

    def test_the_address_of_a_person_is_not_taken_over(self, car: Car, manager: Client) -> None:
        assert "has this address already" in text(act(manager, car, "account", email="ann@example.com"), 400)
        assert "valid email" in text(act(manager, car, "account", email="box"), 400)
        assert "no account" in text(act(manager, car, "reset"), 400)
        Device.objects.filter(pk=car.device.pk).update(account=User.objects.get(email="ann@example.com"))
        assert "no account" in text(
            act(manager, car, "reset"), 400
        )  # a person's is not the device's to reset


class TestService:
    def test_retired_and_brought_back(self, car: Car, manager: Client) -> None:
        commands.send(Actor("somebody"), car.device, Order("honk"))
        note(car.device.pk, Report("on", timezone.now(), {}))
        assert act(manager, car, "retire").status_code == 302
        assert not works(car.token) and Command.objects.get().state == State.CANCELLED
        page = text(manager.get("/devices/acme/acme-van/"))
        assert "Retired" in page and "Issue a token" not in page and "<b>on</b>" in page
        assert "gets no token" in text(act(manager, car, "issue", name="x"), 400)
        assert manager.get("/devices/acme/acme-van/waiting").status_code == 302
        act(manager, car, "retire")
        assert AuditEntry.objects.filter(action="device.retired").count() == 1
        act(manager, car, "revive")
        assert not works(car.token)
        [fresh] = set(TOKEN.findall(text(act(manager, car, "issue", name="new"))))
        assert works(fresh)
