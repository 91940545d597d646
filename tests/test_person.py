"""Export and erasure of a driver: the file, what is left afterwards, and what late data cannot bring back."""

import json
import zipfile
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.audit import Actor
from fleet.journeys.trips import TripTold, keep
from fleet.models import (
    AuditEntry,
    Driver,
    DriverDay,
    DrivingEvent,
    PersonWish,
    Role,
    Trip,
    TripSummary,
    User,
    WishState,
)
from fleet.privacy import erasing, wishes
from profiles.models import EncryptedProfile
from profiles.versions import Condition, Upload, store
from telemetry.models import TelemetryRecord
from tests.deliveries import deliver, derive_all, drain_all
from tests.world import Car, make_car, make_person

SLUG, NAME, EMAIL = "ada_berg", "Ada Berg", "ada@example.com"
DRIVEN_S = 600


class Person:
    """A driver with an account, who drove and has a profile."""

    def __init__(self) -> None:
        self.car: Car = make_car("acme", "van")
        self.vehicle = self.car.vehicle
        self.begun = timezone.now() - timedelta(hours=1)
        self.user = make_person(EMAIL, "acme", Role.DRIVER, first_name="Ada", last_name="Berg")
        self.boss = make_person("boss@example.com", "acme", Role.OWNER)
        self.driver = Driver.objects.create(
            fleet=self.vehicle.fleet, slug=SLUG, name=NAME, user=self.user, labels=["night"]
        )
        store(self.driver, Upload("secret", {}, None), Condition(), self.car.principal)
        deliver(self.car, list(self.records()))
        drain_all()
        derive_all()
        self.tell()
        whose = {"fleet": self.vehicle.fleet, "vehicle": self.vehicle, "driver_id": SLUG}
        DriverDay.objects.create(day=self.begun.date(), distance_mm=7, **whose)
        DrivingEvent.objects.create(
            kind="speeding", started_at=self.begun, ended_at=self.begun, latitude_deg=52.5, longitude_deg=13.5,
            **whose,
        )  # fmt: skip

    def records(self) -> Any:
        for second in range(0, DRIVEN_S + 300, 10):
            speed = 60.0 if second < DRIVEN_S else 0.0
            yield Telemetry(
                timestamp=self.begun.timestamp() + second, speed=speed, latitude=52.5, longitude=13.5
            )

    def tell(self) -> TripSummary:
        values = {
            "driver_id": SLUG, "start_latitude_deg": 52.5, "start_longitude_deg": 13.5, "distance_m": 10_000.0,
            "metadata": {"by": NAME},
        }  # fmt: skip
        end = self.begun + timedelta(seconds=DRIVEN_S)
        return keep(self.vehicle, [TripTold("t1", self.begun, end, values)])[0].trip

    @property
    def actor(self) -> Actor:
        return Actor(str(self.boss), self.boss)

    def client(self, user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    def erase(self) -> PersonWish:
        wish = wishes.erase(self.actor, Driver.objects.select_related("fleet", "user").get(), "a letter")
        wishes.grant_due()
        wish.refresh_from_db()
        return wish


@pytest.fixture
def person(db: None) -> Person:
    return Person()


class TestExport:
    def files(self, person: Person, actor: Actor, reason: str) -> dict[str, Any]:
        wish = wishes.export(actor, person.driver, reason)
        assert wishes.grant_due() == 1
        wish.refresh_from_db()
        with default_storage.open(wish.stored_as) as stored, zipfile.ZipFile(BytesIO(stored.read())) as found:
            return {name: json.loads(found.read(name)) for name in found.namelist()}

    def test_what_the_driver_gets(self, person: Person) -> None:
        found = self.files(person, Actor(NAME, person.user), "")
        assert found["account.json"]["email"] == EMAIL and found["driver.json"][0]["name"] == NAME
        assert found["trip_summaries.json"][0]["trip_id"] == "t1" and len(found["trips.json"]) == 1
        assert found["driving_events.json"][0]["kind"] == "speeding"
        assert found["sums_by_day.json"][0]["distance_mm"] == 7
        assert found["profile.json"]["versions"][0]["encrypted_profile"] == "secret"
        assert found["tracks.json"]["t1"][0][1:] == [52.5, 13.5]
        assert "person.exported" in str(found["audit.json"])

    def test_a_manager_says_why_and_gets_no_tracks(self, person: Person) -> None:
        with pytest.raises(wishes.RefusedError):
            wishes.export(person.actor, person.driver, " ")
        assert "tracks.json" not in self.files(person, person.actor, "a letter of Ada's")

    def test_only_who_asked_downloads_it_and_only_for_a_while(self, person: Person) -> None:
        address = f"/api/v1/drivers/{SLUG}/exports"
        made = person.client(person.user).post(address, {}, content_type="application/json")
        assert made.status_code == 202
        wishes.grant_due()
        file = f"{address}/{made.json()['id']}/file"
        assert person.client(person.user).get(file).status_code == 200
        assert person.client(person.boss).get(file).status_code == 404
        PersonWish.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert person.client(person.user).get(file).status_code == 404
        wishes.expire(timezone.now())
        assert PersonWish.objects.get().state == WishState.EXPIRED


def everywhere() -> str:
    """All rows of the fleet's and the profiles' tables as text."""
    from django.apps import apps

    return json.dumps(
        [
            list(model._default_manager.values())
            for app in ("fleet", "profiles", "devices", "telemetry")
            for model in apps.get_app_config(app).get_models()
        ],
        default=str,
    )


class TestErasure:
    def test_nothing_names_them_any_more(self, person: Person) -> None:
        wish = person.erase()
        assert wish.state == WishState.DONE
        text = everywhere()
        assert not [word for word in (SLUG, NAME, EMAIL, "Berg") if word in text]
        driver = Driver.objects.get()
        assert driver.slug == wish.pseudonym and not driver.active
        assert not EncryptedProfile.objects.exists()
        assert AuditEntry.objects.filter(action="person.erased", object_name=wish.pseudonym).exists()

    def test_what_counts_stays_without_places(self, person: Person) -> None:
        wish = person.erase()
        assert DriverDay.objects.get().driver_id == wish.pseudonym == DrivingEvent.objects.get().driver_id
        assert TripSummary.objects.get().distance_m == 10_000
        assert TripSummary.objects.get().start_latitude_deg is None is Trip.objects.get().start_latitude_deg
        assert DrivingEvent.objects.get().latitude_deg is None
        trip = Trip.objects.get()
        during = TelemetryRecord.objects.filter(time__lte=trip.ended_at)
        assert (
            during.exists() and not during.exclude(latitude_deg=None).filter(time__lt=trip.ended_at).exists()
        )

    def test_the_account_is_nobodys(self, person: Person) -> None:
        browser = person.client(person.user)
        person.erase()
        user = User.objects.get(pk=person.user.pk)
        assert not user.is_active and not user.has_usable_password() and not user.memberships.exists()
        assert browser.get("/").status_code == 302

    def test_an_account_of_another_fleet_only_leaves_this_one(self, person: Person) -> None:
        make_car("other", "bus")
        from fleet.models import Fleet, Membership

        Membership.objects.create(fleet=Fleet.objects.get(slug="other"), user=person.user, role=Role.VIEWER)
        person.erase()
        user = User.objects.get(pk=person.user.pk)
        assert user.is_active and user.email == EMAIL
        assert [member.fleet.slug for member in user.memberships.all()] == ["other"]

    @pytest.mark.parametrize("step", ["_places", "_told", "_trail", "_kept_elsewhere", "_account", "_names"])
    def test_killed_at_any_step_it_goes_on(
        self, person: Person, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        wish = wishes.erase(person.actor, Driver.objects.select_related("fleet", "user").get(), "")
        real = getattr(erasing, step)

        def dies(*told: Any) -> None:
            real(*told)
            raise KeyboardInterrupt

        monkeypatch.setattr(erasing, step, dies)
        with pytest.raises(KeyboardInterrupt):
            wishes.grant_due()
        monkeypatch.undo()
        assert not wishes.grant_due()  # the dead worker's lease
        PersonWish.objects.update(due_at=timezone.now())
        assert wishes.grant_due() == 1
        wish.refresh_from_db()
        assert wish.state == WishState.DONE and SLUG not in everywhere() and EMAIL not in everywhere()

    def test_late_data_brings_nobody_back(self, person: Person) -> None:
        person.erase()
        again = person.tell()
        assert again.driver_id in {"", Driver.objects.get().slug}
        assert (again.start_latitude_deg, again.metadata) == (None, {})
        with pytest.raises(ValidationError, match="erased"):
            Driver.objects.known(person.vehicle.fleet_id, SLUG)
        late = Telemetry(timestamp=person.begun.timestamp() + 5, speed=60.0, latitude=52.5, longitude=13.5)
        deliver(person.car, [late])
        drain_all()
        derive_all()
        assert SLUG not in everywhere()
        assert Trip.objects.get().start_latitude_deg is None

    def test_again_is_the_same(self, person: Person) -> None:
        first, second = person.erase(), person.erase()
        assert first.pk == second.pk

    def test_the_last_owner_stays(self, person: Person) -> None:
        driver = Driver.objects.create(fleet=person.vehicle.fleet, slug="boss", user=person.boss)
        with pytest.raises(wishes.RefusedError, match="at least one owner"):
            wishes.erase(person.actor, driver, "")


class TestAsking:
    def test_over_the_api_with_the_managers_password(self, person: Person) -> None:
        client, address = person.client(person.boss), f"/api/v1/drivers/{SLUG}/erasure"
        wrong = client.post(address, {"password": "guess"}, content_type="application/json")
        assert wrong.status_code == 400 and not PersonWish.objects.exists()
        right = client.post(address, {"password": "boss@example.com"}, content_type="application/json")
        assert right.status_code == 202 and right.json()["kind"] == "erase"

    def test_on_the_page(self, person: Person) -> None:
        client, address = person.client(person.boss), f"/drivers/acme/{SLUG}/person"
        assert "Erase for good" in client.get(address).content.decode()
        body = {"act": "erase", "confirm": "somebody", "password": "boss@example.com"}
        assert "type ada_berg to confirm" in client.post(address, body).content.decode()
        assert client.post(address, body | {"confirm": SLUG}).status_code == 302
        assert PersonWish.objects.get().kind == "erase"
        assert "Erase for good" not in person.client(person.user).get(address).content.decode()
