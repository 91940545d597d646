"""Model releases: signed outside, verified on the way in, offered, downloaded in parts; rollouts steer themselves."""

import hashlib
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import AsyncClient, Client

from devices import rollouts
from devices.models import ModelInstall, ModelRelease, Rollout
from devices.models.releases import canonical
from devices.releases import Facts, add_release
from devices.signatures import public_text, sign
from fleet.audit import SYSTEM
from fleet.models import AuditEntry, Fleet, Role
from tests.world import Car, make_car, make_person

CONTENT = bytes(range(256)) * 4096  # 1 MiB
Add = Callable[..., ModelRelease]


@pytest.fixture
def key(settings: Any) -> Ed25519PrivateKey:
    made = Ed25519PrivateKey.generate()
    settings.MODEL_PUBLIC_KEYS = [
        public_text(Ed25519PrivateKey.generate().public_key()),
        public_text(made.public_key()),
    ]
    return made


@pytest.fixture
def add(key: Ed25519PrivateKey) -> Add:
    """A signed release, taken in as the product takes it in."""

    def make(version: str, name: str = "detector", content: bytes = CONTENT, **more: Any) -> ModelRelease:
        signature = sign(key, hashlib.sha256(content).digest())
        return add_release(SYSTEM, Facts(name, version, signature, **more), ContentFile(content))

    return make


@pytest.fixture
def car(db: None) -> Car:
    return make_car("north", "van-1")


def client_of(car: Car) -> Client:
    return Client(headers={"authorization": f"Bearer {car.token}"})


def browser(email: str, fleet: str, role: str) -> Client:
    client = Client()
    client.force_login(make_person(email, fleet, role), backend="django.contrib.auth.backends.ModelBackend")
    return client


def listed(client: Client) -> dict[str, str]:
    return {row["name"]: row["version"] for row in client.get("/api/v1/models").json()["models"]}


def link(client: Client, query: str = "") -> Any:
    return client.get(f"/api/v1/models/detector/download{query}")


def path_of(reply: Any) -> str:
    return str(urlsplit(reply.json()["url"]).path)


def body(reply: Any) -> bytes:
    return b"".join(reply.streaming_content)


class TestTakingIn:
    def test_signed_and_added_by_command(self, db: None, tmp_path: Path, settings: Any) -> None:
        file, key, out = tmp_path / "model.onnx", tmp_path / "key.pem", StringIO()
        file.write_bytes(CONTENT)
        call_command("sign_model", str(file), "--key", str(key), "--new-key", stdout=out)
        public, digest, signature = [line.split(maxsplit=1)[-1] for line in out.getvalue().splitlines()]
        assert key.stat().st_mode & 0o777 == 0o600 and digest == hashlib.sha256(CONTENT).hexdigest()
        settings.MODEL_PUBLIC_KEYS = [public.partition("=")[2]]
        call_command("add_release", "detector", "v2.1.0", str(file), "--signature", signature, stdout=out)
        release = ModelRelease.objects.get()
        assert (release.version, release.size_bytes, release.sha256) == ("v2.1.0", len(CONTENT), digest)
        with pytest.raises(CommandError, match="never changes"):
            call_command("add_release", "detector", "2.1", str(file), "--signature", signature)
        with pytest.raises(CommandError, match="never overwritten"):
            call_command("sign_model", str(file), "--key", str(key), "--new-key")

    @pytest.mark.parametrize("wrong", ["", "nonsense", "other key", "other file"])
    def test_what_no_pinned_key_signed_is_refused(self, db: None, key: Ed25519PrivateKey, wrong: str) -> None:
        stranger = Ed25519PrivateKey.generate()
        digest = hashlib.sha256(CONTENT).digest()
        signature = {
            "other key": sign(stranger, digest),
            "other file": sign(key, hashlib.sha256(b"x").digest()),
        }.get(wrong, wrong)
        boss = Client()
        boss.force_login(
            make_person("boss@example.com", is_superuser=True),
            backend="django.contrib.auth.backends.ModelBackend",
        )
        reply = upload(boss, signature=signature)
        assert reply.status_code == 400 and reply.json()["errors"][0]["field"] == "signature"
        assert not ModelRelease.objects.exists()

    def test_an_owner_uploads_for_their_fleet(self, car: Car, key: Ed25519PrivateKey) -> None:
        owner = browser("owner@example.com", "north", Role.OWNER)
        signature = sign(key, hashlib.sha256(CONTENT).digest())
        reply = upload(owner, signature=signature, compatibility='{"vehicle_model": ["e-Van"]}')
        assert reply.status_code == 201, reply.content
        release = ModelRelease.objects.get()
        assert release.fleet == Fleet.objects.get(slug="north") and release.compatibility == {
            "vehicle_model": ["e-Van"]
        }
        assert AuditEntry.objects.get().action == "release.added"
        assert upload(owner, signature=signature, version="2.1").status_code == 409
        assert upload(owner, signature=signature, version="newest").status_code == 400
        assert upload(owner, signature=signature, name="../x").status_code == 400
        manager = browser("manager@example.com", "north", Role.MANAGER)
        assert upload(manager, signature=signature, version="3").status_code == 403

    @pytest.mark.parametrize(
        ("one", "other"), [("v2.1.0", "2.1"), ("2.1.0-beta.1", "2.1b1"), ("1.0", "1"), ("v1.10.0", "1.10")]
    )
    def test_versions_that_are_one(self, one: str, other: str) -> None:
        assert canonical(one) == canonical(other) is not None
        assert canonical("latest") is None and canonical("1.10") != canonical("1.1")


def upload(client: Client, **more: str) -> Any:
    file = SimpleUploadedFile("m.onnx", CONTENT)
    return client.post("/api/v1/models", {"name": "detector", "version": "v2.1.0", "file": file, **more})


class TestOffering:
    def test_the_newest_of_each_name(self, car: Car, add: Add) -> None:
        for version in ("v2.9.0", "v2.10.0", "v2.10.0-rc.1", "v2.1.0"):
            add(version, content=version.encode())
        add("1.0", name="lanes")
        assert listed(client_of(car)) == {"detector": "v2.10.0", "lanes": "1.0"}
        shown = client_of(car).get("/api/v1/models").json()["models"][0]
        assert (shown["size"], shown["checksum"]) == (7, hashlib.sha256(b"v2.10.0").hexdigest())

    def test_only_what_is_meant_for_the_device(self, car: Car, add: Add) -> None:
        south = make_car("south")
        add("1.0", fleet=south.vehicle.fleet)
        assert listed(client_of(car)) == {} and link(client_of(car)).status_code == 404
        assert listed(client_of(south)) == {"detector": "1.0"}
        add("2.0", compatibility={"vehicle_model": ["e-Van"], "hardware": "orin"}, content=b"2")
        assert listed(client_of(car)) == {}
        car.vehicle.model, car.device.metadata = "e-Van", {"hardware": "orin"}
        car.vehicle.save()
        car.device.save()
        assert listed(client_of(car)) == {"detector": "2.0"}
        ModelRelease.objects.update(active=False)
        assert listed(client_of(car)) == {}

    def test_how_many_queries(self, car: Car, add: Add, django_assert_num_queries: Any) -> None:
        for number in range(8):
            add(f"1.{number}", content=b"%d" % number)
        client = client_of(car)
        listed(client)
        with django_assert_num_queries(
            3
        ):  # releases with rollouts, the device with its vehicle, what is healthy
            listed(client)


class TestDownload:
    def test_link_and_file(self, car: Car, add: Add) -> None:
        release = add("v2.1.0")
        reply = link(client_of(car))
        told = reply.json()
        assert (told["checksum"], told["signature"], told["size"]) == (
            release.sha256,
            release.signature,
            len(CONTENT),
        )
        assert told["url"].startswith("http://testserver/api/v1/model-files/") and told["expires_at"]
        whole = Client().get(path_of(reply))
        assert whole.status_code == 200 and body(whole) == CONTENT and whole["ETag"] == f'"{release.sha256}"'
        assert link(client_of(car), "?version=2.1").json()["version"] == "v2.1.0"
        assert link(client_of(car), "?version=9").status_code == 404

    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-9", 0, 9), ("bytes=1000000-", 1_000_000, len(CONTENT) - 1),
            ("bytes=-5", len(CONTENT) - 5, len(CONTENT) - 1), ("bytes=5-99999999", 5, len(CONTENT) - 1),
        ],
    )  # fmt: skip
    def test_ranges(self, car: Car, add: Add, asked: str, first: int, last: int) -> None:
        release = add("1")
        path = path_of(link(client_of(car)))
        reply = Client().get(path, headers={"range": asked, "if-range": f'"{release.sha256}"'})
        assert reply.status_code == 206 and body(reply) == CONTENT[first : last + 1]
        assert reply["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
        assert int(reply["Content-Length"]) == last - first + 1
        changed = Client().get(path, headers={"range": asked, "if-range": '"another"'})
        assert changed.status_code == 200 and body(changed) == CONTENT

    def test_what_is_no_range(self, car: Car, add: Add) -> None:
        release = add("1")
        path = path_of(link(client_of(car)))
        for asked in ("bytes=-", "bytes=9-1", "bytes=0-1,5-6", "lines=1-2"):
            assert Client().get(path, headers={"range": asked}).status_code == 200
        beyond = Client().get(path, headers={"range": f"bytes={len(CONTENT)}-"})
        assert beyond.status_code == 416 and beyond["Content-Range"] == f"bytes */{len(CONTENT)}"
        assert Client().get(path, headers={"if-none-match": f'"{release.sha256}"'}).status_code == 304
        assert body(Client().head(path)) == b""

    def test_a_link_expires_and_is_for_one(self, car: Car, add: Add, settings: Any) -> None:
        release = add("1")
        path = path_of(link(client_of(car)))
        assert client_of(car).get(path).status_code == 200
        assert client_of(make_car("north")).get(path).status_code == 404
        assert Client().get(path[:-2]).status_code == 404
        ModelRelease.objects.update(active=False)
        assert Client().get(path).status_code == 404
        ModelRelease.objects.filter(pk=release.pk).update(active=True)
        settings.MODEL_URL_MINUTES = -1
        assert Client().get(path).status_code == 404


def report(car: Car, state: str, version: str = "2.0") -> int:
    answer = client_of(car).post(
        "/api/v1/models/detector/report",
        {"version": version, "state": state},
        content_type="application/json",
    )
    return int(answer.status_code)


class TestRollout:
    @pytest.fixture
    def staged(self, car: Car, add: Add) -> Rollout:
        """1.0 for everybody, 2.0 in stages."""
        add("1.0", content=b"1")
        release = add("2.0", fleet=car.vehicle.fleet)
        return Rollout.objects.create(release=release, percent=0, steps=[50, 100], min_reports=2)

    def test_cohorts_are_stable_and_grow(self, staged: Rollout) -> None:
        places = [rollouts.place_of(staged.release, number) for number in range(2000)]
        assert places == [rollouts.place_of(staged.release, number) for number in range(2000)]
        for percent in (5, 50):
            assert sum(place < percent for place in places) == pytest.approx(20 * percent, rel=0.35)

    def test_percentage_label_and_start(self, staged: Rollout, car: Car) -> None:
        client = client_of(car)
        assert listed(client) == {"detector": "1.0"} and link(client, "?version=2.0").status_code == 404
        Rollout.objects.update(percent=100)
        assert listed(client) == {"detector": "2.0"}
        Rollout.objects.update(labels=["beta"])
        assert listed(client) == {"detector": "1.0"}
        car.device.metadata = {"labels": ["beta"]}
        car.device.save()
        assert listed(client) == {"detector": "2.0"}
        Rollout.objects.update(starts_at="2999-01-01T00:00:00Z")
        assert listed(client) == {"detector": "1.0"}

    def test_only_healthy_widens(self, staged: Rollout) -> None:
        Rollout.objects.update(percent=10)
        cars = [make_car("north") for _ in range(3)]
        for state in ("downloaded", "installed"):
            assert [report(car, state) for car in cars] == [204] * 3
        staged.refresh_from_db()
        assert staged.percent == 10
        report(cars[0], "healthy")
        report(cars[1], "healthy")
        staged.refresh_from_db()
        assert staged.percent == 10  # two of three is not 90 %
        report(cars[2], "healthy")
        report(cars[2], "healthy")
        staged.refresh_from_db()
        assert staged.percent == 50
        assert [entry.action for entry in AuditEntry.objects.filter(action__startswith="rollout")] == [
            "rollout.widened"
        ]

    def test_the_old_version_reporting_healthy_proves_nothing(self, staged: Rollout) -> None:
        Rollout.objects.update(percent=10)
        for _ in range(4):
            assert report(make_car("north"), "healthy", "1.0") == 204
        staged.refresh_from_db()
        assert staged.percent == 10 and rollouts.outcome_of(staged).begun == 0

    def test_failures_pause_by_themselves(self, staged: Rollout, car: Car) -> None:
        Rollout.objects.update(percent=100)
        healthy = make_car("north")
        for who, state in ((healthy, "healthy"), (make_car("north"), "failed")):
            report(who, state)
        staged.refresh_from_db()
        assert staged.paused_at and staged.paused_because == "1 of 2 devices failed"
        assert listed(client_of(car)) == {"detector": "1.0"}
        assert listed(client_of(healthy)) == {"detector": "2.0"}

    def test_late_and_repeated_reports(self, staged: Rollout, car: Car) -> None:
        for state, stands in (
            ("healthy", "healthy"), ("downloaded", "healthy"), ("installed", "healthy"), ("failed", "failed"),
            ("installed", "failed"), ("healthy", "healthy"),
        ):  # fmt: skip
            report(car, state)
            assert ModelInstall.objects.get().state == stands
        assert report(car, "great") == 400 and report(car, "healthy", "9") == 400

    def test_steering(self, staged: Rollout, car: Car) -> None:
        manager = browser("manager@example.com", "north", Role.MANAGER)
        url = "/api/v1/models/detector/rollout?version=2.0"
        reply = manager.put(url, {"percent": 25, "paused": True}, content_type="application/json")
        told = reply.json()
        assert reply.status_code == 200 and (told["percent"], told["paused"], told["paused_because"]) == (
            25,
            True,
            "by hand",
        )
        assert manager.put(url, {"paused": False}, content_type="application/json").json()["paused"] is False
        assert manager.put(url, {"percent": 101}, content_type="application/json").status_code == 400
        assert manager.put(url.replace("2.0", "1.0"), {}, content_type="application/json").status_code == 403
        assert [entry.action for entry in AuditEntry.objects.filter(action="rollout.changed")] == [
            "rollout.changed"
        ] * 2
        assert manager.get(url).json()["percent"] == 25 and client_of(car).get(url).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_reports_at_once_widen_once(add: Add) -> None:
    cars = [make_car("north") for _ in range(6)]
    release = add("2.0")
    rollout = Rollout.objects.create(release=release, percent=10, steps=[20, 30, 40, 50], min_reports=6)
    start = threading.Barrier(6)

    def say(car: Car) -> None:
        start.wait()
        rollouts.report(car.device.pk, release, "healthy", "")
        connection.close()

    threads = [threading.Thread(target=say, args=(car,)) for car in cars]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rollout.refresh_from_db()
    assert rollout.percent == 20 and ModelInstall.objects.filter(state="healthy").count() == 6


@pytest.mark.django_db(transaction=True)
async def test_a_file_is_streamed_over_asgi(add: Add) -> None:
    """In blocks, each read when it is asked for: memory does not grow with the file."""

    def prepare() -> str:
        car = make_car("north")
        add("1")
        return path_of(link(client_of(car)))

    reply: Any = await AsyncClient().get(await sync_to_async(prepare)())
    assert reply.is_async
    blocks = [block async for block in reply]
    assert b"".join(blocks) == CONTENT and max(map(len, blocks)) <= 256 * 1024
    await sync_to_async(connections.close_all)()
