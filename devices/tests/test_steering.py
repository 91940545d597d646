"""Releases and rollouts in the browser: the levers, the progress, the reasons; a withdrawn release leaves no file."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from devices import progress, releases, rollouts, steering
from devices.models import Device, ModelRelease, Rollout
from devices.releases import Facts, add_release
from devices.signatures import public_text, sign
from devices.steering import SteeringError
from fleet.audit import SYSTEM
from fleet.models import AuditEntry, Fleet, Role
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db
Add = Callable[..., ModelRelease]


@pytest.fixture
def key(settings: Any) -> Ed25519PrivateKey:
    made = Ed25519PrivateKey.generate()
    settings.MODEL_PUBLIC_KEYS = [public_text(made.public_key())]
    return made


@pytest.fixture
def add(key: Ed25519PrivateKey) -> Add:
    def make(version: str = "1.0", **more: Any) -> ModelRelease:
        content = f"weights {version} {more}".encode()
        facts = Facts("detector", version, sign(key, hashlib.sha256(content).digest()), **more)
        return add_release(SYSTEM, facts, ContentFile(content))

    return make


@pytest.fixture
def cars(db: None) -> list[Car]:
    return [make_car("north", f"van-{number}") for number in range(4)]


@pytest.fixture
def release(cars: list[Car], add: Add) -> ModelRelease:
    return add(fleet=cars[0].vehicle.fleet)


def browser(role: str, fleet: str = "north", **fields: Any) -> Client:
    client = Client()
    person = make_person(f"{role}@{fleet}.org", fleet, role, **fields)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def text(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.content.decode()[-2000:]
    return str(response.content.decode())


def act(client: Client, release: ModelRelease, do: str, **fields: Any) -> Any:
    return client.post(f"/releases/{release.pk}/act", {"do": do, **fields})


TERMS = {"percent": "25", "steps": "50, 100", "labels": "", "success_percent": "90", "error_percent": "10",
         "min_reports": "2"}  # fmt: skip


class TestLevers:
    def test_from_terms_to_everybody(self, release: ModelRelease) -> None:
        manager = browser(Role.MANAGER)
        assert act(manager, release, "terms", **TERMS).status_code == 302
        rollout = Rollout.objects.get()
        assert (rollout.percent, rollout.steps, rollout.success_threshold) == (25, [50.0, 100.0], 0.9)
        assert act(manager, release, "widen", seen="25.0").status_code == 302
        assert "look again" in text(act(manager, release, "widen", seen="25.0"), 400)  # pressed by two
        act(manager, release, "pause")
        act(manager, release, "pause")
        act(manager, release, "resume")
        act(manager, release, "widen", seen="50")
        assert "everybody already" in text(act(manager, release, "widen", seen="100"), 400)
        rollout.refresh_from_db()
        assert [stage["percent"] for stage in rollout.stages] == [25, 50, 50, 100]
        told = AuditEntry.objects.filter(action__startswith="rollout").order_by("id")
        assert list(told.values_list("action", flat=True)) == [
            "rollout.changed", "rollout.widened", "rollout.paused", "rollout.resumed", "rollout.widened",
        ]  # fmt: skip
        page = text(manager.get(f"/releases/{release.pk}/"))
        assert "resumed" in page and '<b class="good">good</b>' in page

    def test_aborted_is_final(self, release: ModelRelease, cars: list[Car]) -> None:
        manager = browser(Role.MANAGER)
        rollouts.report(cars[0].device.pk, release, "healthy", "")
        act(manager, release, "abort")
        offered = [bool(rollouts.offered(car.principal)) for car in cars]
        assert offered == [True, False, False, False]  # who runs it keeps it
        assert "aborted for good" in text(act(manager, release, "resume"), 400)
        body = {"percent": 100}
        url = f"/api/v1/models/detector/rollout?version={release.version}"
        assert manager.put(url, body, content_type="application/json").status_code == 409
        assert manager.get(url).json()["aborted"] is True
        assert act(manager, release, "abort").status_code == 302
        assert AuditEntry.objects.filter(action="rollout.aborted").count() == 1

    @pytest.mark.parametrize(
        ("field", "value", "reason"),
        [
            ("percent", "101", "less than or equal to 100"),
            ("steps", "5, many", "Percentages with commas"),
            ("steps", "nan", "Percentages with commas"),
            ("min_reports", "0", "greater than or equal to 1"),
            ("labels", "x" * 41, "At most 20 labels"),
            ("percent", "nan", "Enter a number"),
        ],
    )
    def test_nonsense_stands_beside_its_field(
        self, release: ModelRelease, field: str, value: str, reason: str
    ) -> None:
        page = text(act(browser(Role.MANAGER), release, "terms", **{**TERMS, field: value}), 400)
        assert reason in page and not Rollout.objects.exists()

    def test_one_for_everybody_is_steered_by_staff(self, cars: list[Car], add: Add) -> None:
        release, manager = add(), browser(Role.OWNER)
        page = text(manager.get(f"/releases/{release.pk}/"))
        assert "Save terms" not in page and "Withdraw for good" not in page
        for do in ("pause", "abort", "withdraw"):
            assert act(manager, release, do, confirm="1.0").status_code == 403
        staff = browser(Role.MANAGER, is_superuser=True)
        assert act(staff, release, "pause").status_code == 302

    def test_what_others_install_is_not_shown(self, cars: list[Car], add: Add) -> None:
        release, rival = add(), make_car("south", "tram")
        for car in (cars[0], rival):
            rollouts.report(car.device.pk, release, "failed", f"broken in {car.vehicle.name}")
        page = text(browser(Role.MANAGER).get(f"/releases/{release.pk}/"))
        assert "broken in van-0" in page and "tram" not in page
        [stage] = progress.stages(release, [cars[0].vehicle.fleet_id])
        assert stage.counts["failed"] == 1 and progress.stages(release, None)[0].counts["failed"] == 2


class TestProgress:
    def test_stages_count_what_began_in_them(self, release: ModelRelease, cars: list[Car]) -> None:
        steering.change(
            SYSTEM, release, {"percent": 10.0, "steps": [50.0], "min_reports": 2, "error_threshold": 0.5}
        )
        rollouts.report(cars[0].device.pk, release, "downloaded", "")
        rollouts.report(cars[0].device.pk, release, "healthy", "")
        rollouts.report(cars[1].device.pk, release, "healthy", "")  # both healthy: widens by itself
        rollouts.report(cars[2].device.pk, release, "failed", "self-check")
        found = progress.stages(ModelRelease.objects.select_related("rollout").get(), None)
        assert [(stage.percent, stage.counts["healthy"], stage.counts["failed"]) for stage in found] == [
            (50, 0, 1), (10, 2, 0),
        ]  # fmt: skip
        assert found[0].why == "2 of 2 healthy"

    def test_why_a_device_is_not_offered_it(self, cars: list[Car], add: Add) -> None:
        fleet = cars[0].vehicle.fleet
        release = add("1.0", fleet=fleet, compatibility={"vehicle_model": ["e-Van"]})
        for car in cars[1:]:
            type(car.vehicle).objects.filter(pk=car.vehicle.pk).update(model="e-Van", labels=["early"])
        type(fleet).objects.filter(pk=fleet.pk).update(name="North")
        steering.change(SYSTEM, release, {"labels": ["early"]})

        def reasons() -> list[str]:
            fresh = ModelRelease.objects.select_related("rollout").get(pk=release.pk)
            devices = list(progress.devices_of(fresh, None).order_by("id"))
            return [row.reason for row in progress.standings(fresh, devices, timezone.now())]

        assert reasons() == ["vehicle_model is not known, needed: e-Van", "", "", ""]
        type(cars[1].vehicle).objects.filter(pk=cars[1].vehicle.pk).update(labels=[])
        rollouts.report(cars[2].device.pk, release, "healthy", "")
        steering.pause(SYSTEM, release)
        assert reasons()[1:] == ["the rollout is paused", "", "the rollout is paused"]
        better = add("2.0", fleet=fleet)
        assert reasons()[2] == "2.0 is offered instead"
        offered = [[r.version for r in rollouts.newest(rollouts.offered(car.principal))] for car in cars]
        assert offered == [["2.0"]] * 4
        releases.withdraw(SYSTEM, better)
        releases.withdraw(SYSTEM, release)
        assert set(reasons()) == {"withdrawn"}

    def test_offered_is_what_the_devices_get(self, release: ModelRelease, cars: list[Car]) -> None:
        for percent in (0.0, 30.0, 60.0, 100.0):
            steering.change(SYSTEM, release, {"percent": percent})
            fresh = ModelRelease.objects.select_related("rollout").get(pk=release.pk)
            devices = progress.devices_of(fresh, None)
            offered, looked = progress.offered_now(fresh, devices, timezone.now())
            rows = progress.standings(fresh, list(devices), timezone.now())
            assert looked == 4 and offered == sum(not row.reason for row in rows)
            assert offered == sum(bool(rollouts.offered(car.principal)) for car in cars)

    def test_what_the_pages_cost(self, cars: list[Car], add: Add, django_assert_num_queries: Any) -> None:
        fleet, manager = cars[0].vehicle.fleet, browser(Role.MANAGER)
        for number in range(6):
            rollouts.report(cars[0].device.pk, add(f"1.{number}", fleet=fleet), "healthy", "")
        release = ModelRelease.objects.latest("id")
        # session, person, roles, count, releases, fleets to choose and for the head
        with django_assert_num_queries(7):
            manager.get("/releases")
        # session, person, roles, release, devices to count, rows (2), stages, rivals, installs, audit, versions, head
        with django_assert_num_queries(13):
            manager.get(f"/releases/{release.pk}/")


class TestFiles:
    def test_withdrawn_with_its_file_after_a_confirmation(
        self, release: ModelRelease, django_capture_on_commit_callbacks: Any
    ) -> None:
        owner, manager = browser(Role.OWNER), browser(Role.MANAGER)
        assert act(manager, release, "withdraw", confirm="1.0").status_code == 403
        assert "Type 1.0" in text(act(owner, release, "withdraw", confirm="1"), 400)
        assert default_storage.exists(release.stored_as)
        with django_capture_on_commit_callbacks(execute=True):
            assert act(owner, release, "withdraw", confirm="1.0").status_code == 302
        assert not default_storage.exists(release.stored_as)
        page = text(owner.get(f"/releases/{release.pk}/"))
        assert "deleted just now" in page and "Save terms" not in page
        assert "No release matches" not in text(owner.get("/releases?state=withdrawn"))
        with pytest.raises(SteeringError, match="withdrawn"):
            steering.pause(SYSTEM, release)
        assert releases.withdraw(SYSTEM, release).withdrawn_at
        assert AuditEntry.objects.filter(action="release.withdrawn").count() == 1

    def test_deleted_in_the_admin_the_file_goes_too(
        self, release: ModelRelease, django_capture_on_commit_callbacks: Any
    ) -> None:
        staff = browser(Role.OWNER, is_superuser=True, is_staff=True)
        with django_capture_on_commit_callbacks(execute=True):
            staff.post(f"/admin/devices/modelrelease/{release.pk}/delete/", {"post": "yes"})
        assert not ModelRelease.objects.exists() and not default_storage.exists(release.stored_as)

    def test_the_sweep_takes_only_old_orphans(self, cars: list[Car], add: Add) -> None:
        kept, withdrawn = add("1.0"), add("2.0")
        orphan = default_storage.save("models/" + "0" * 64, ContentFile(b"left by a crash"))
        young = default_storage.save("models/" + "1" * 64, ContentFile(b"its row is on its way"))
        releases.withdraw(SYSTEM, withdrawn)  # on_commit does not run within a test's transaction: a crash
        long_ago = time.time() - 7 * 3600
        for name in (kept.stored_as, withdrawn.stored_as, orphan):
            os.utime(default_storage.path(name), (long_ago, long_ago))
        assert releases.sweep_orphans(timezone.now()) == 2
        there = [
            default_storage.exists(name) for name in (kept.stored_as, young, orphan, withdrawn.stored_as)
        ]
        assert there == [True, True, False, False]
        default_storage.delete(young)
        default_storage.delete(kept.stored_as)


class TestUpload:
    def test_an_owner_adds_one(self, cars: list[Car], key: Ed25519PrivateKey) -> None:
        owner, content = browser(Role.OWNER), b"weights"
        body = {
            "name": "detector", "version": "3.0", "signature": sign(key, hashlib.sha256(content).digest()),
            "fleet": "north", "notes": "better", "compatibility": json.dumps({"hardware": ["orin"]}),
        }  # fmt: skip

        def post(**changes: Any) -> Any:
            file = SimpleUploadedFile("model.onnx", changes.pop("content", content))
            return owner.post("/releases/new", {**body, "file": file, **changes})

        assert "No pinned key" in text(post(content=b"other"), 400).replace("&#x27;", "'")
        assert "A JSON object" in text(post(compatibility="[1]"), 400)
        assert "Not a version" in text(post(version="newest"), 400)
        assert text(post(fleet="south"), 400) and text(post(fleet=""), 400)  # only staff: for all
        assert post()["Location"] == f"/releases/{ModelRelease.objects.get().pk}/"
        assert "a release never changes" in text(post(), 400)
        found = ModelRelease.objects.get()
        assert (found.fleet, found.notes) == (Fleet.objects.get(slug="north"), "better")
        listed = text(owner.get("/releases?q=3.0&export=csv")).splitlines()
        assert len(listed) == 2 and listed[1].startswith("detector,3.0,north")


def test_a_vehicles_labels_choose_its_devices(release: ModelRelease, cars: list[Car]) -> None:
    steering.change(SYSTEM, release, {"labels": ["early"]})
    type(cars[1].vehicle).objects.filter(pk=cars[1].vehicle.pk).update(labels=["early"])
    Device.objects.filter(pk=cars[2].device.pk).update(metadata={"labels": ["early"]})
    assert [bool(rollouts.offered(car.principal)) for car in cars] == [False, True, True, False]
