"""Scenarios: taken with consent only, annotated once, gone without a trace of footage when consent is withdrawn."""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import Settings as DjangoSettings

from fleet.models import Annotation, AuditEntry, Fleet, Role, Scenario, Video
from fleet.recording import footage as files
from fleet.recording import scenarios
from fleet.tasks import expire_footage
from fleet.tests import footage_samples as samples
from tests.world import Car, make_car, make_person

BODY: dict[str, Any] = {
    "scenario_id": "2024-11-17_10-30-45",
    "vehicle_id": "van",
    "timestamp": 1731839445,
    "duration": 20.5,
    "trigger": "hard_brake",
    "consent": True,
    "metadata": {"priority": "high"},
    "weather": "rain",
}


@pytest.fixture(autouse=True)
def media(settings: DjangoSettings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def car(transactional_db: None) -> Car:
    return make_car("north", "van")


def device(car: Car) -> Client:
    return Client(headers={"Authorization": f"Bearer {car.token}"})


def person(role: Role, fleet: str = "north") -> Client:
    client = Client()
    user = make_person(f"{role}-{fleet}@example.com", fleet, role)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def post(car: Car, path: str, body: Any) -> Any:
    return device(car).post(f"/api/v1/scenarios{path}", json.dumps(body), content_type="application/json")


def send(car: Car, content: bytes, camera: str = "front", name: str = "front.mp4", **further: str) -> Any:
    file = SimpleUploadedFile(name, content)
    body = {"file": file, "camera": camera, **further}
    return device(car).post(f"/api/v1/scenarios/{BODY['scenario_id']}/videos", body)


def stored(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]


def test_taken_once(car: Car) -> None:
    first, again = post(car, "", BODY), post(car, "", BODY | {"trigger": "other"})
    assert (first.status_code, again.status_code) == (201, 200)
    row = Scenario.objects.get()
    assert first.json()["id"] == again.json()["id"] == str(row.uid)
    assert (row.trigger, row.duration_s, row.vehicle) == ("hard_brake", 20.5, car.vehicle)
    assert row.metadata == {"priority": "high", "weather": "rain"}
    other = make_car("north", "truck")
    assert post(other, "", BODY | {"vehicle_id": "truck"}).status_code == 201, "names are often just a time"


@pytest.mark.parametrize("consent", [False, None, "true", 1, "absent"])
def test_nothing_without_consent(car: Car, consent: Any) -> None:
    body = {name: value for name, value in BODY.items() if name != "consent"}
    reply = post(car, "", body if consent == "absent" else body | {"consent": consent})
    assert reply.status_code == 422 and reply.json()["errors"][0]["field"] == "consent"
    assert Scenario.objects.count() == 0


def test_only_for_its_own_vehicle(car: Car) -> None:
    make_car("north", "truck")
    assert post(car, "", BODY | {"vehicle_id": "truck"}).status_code == 404
    assert post(car, "", [BODY]).status_code == 400
    assert Scenario.objects.count() == 0


def test_annotations_are_kept_once(car: Car) -> None:
    post(car, "", BODY)
    told = {
        "annotations": [
            {"timestamp": 3, "label": "brake"},
            {"timestamp": 2.4, "label": "person", "sure": 0.9},
        ]
    }
    for _ in range(3):
        reply = post(car, f"/{BODY['scenario_id']}/annotations", told)
        assert reply.status_code == 201 and reply.json()["received"] == 2
    assert [(row["timestamp"], row["label"], row["details"]) for row in reply.json()["annotations"]] == [
        (2.4, "person", {"sure": 0.9}),
        (3.0, "brake", {}),
    ]
    wrong = post(
        car, f"/{BODY['scenario_id']}/annotations", {"annotations": [{"timestamp": 1, "label": "a"}, {}]}
    )
    assert wrong.status_code == 400
    assert wrong.json()["errors"][0]["field"] == "annotations[1].timestamp"
    assert Annotation.objects.count() == 2


def test_videos_of_several_cameras(car: Car, media: Path) -> None:
    post(car, "", BODY)
    front, rear = samples.footage(3_000_000), samples.footage(5_000, samples.WEBM)
    reply = send(car, front, sha256=hashlib.sha256(front).hexdigest().upper())
    assert reply.status_code == 201 and reply.json()["size"] == 3_000_000
    assert send(car, rear, "rear", "rear.webm").json()["content_type"] == "video/webm"
    assert send(car, front).status_code == 200, "the same again after a lost answer"
    assert len(stored(media)) == Video.objects.count() == 2
    with default_storage.open(Video.objects.get(camera="front").stored_as) as file:
        assert file.read() == front
    whole = device(car).get(f"/api/v1/scenarios/{BODY['scenario_id']}").json()
    assert [video["camera"] for video in whole["videos"]] == ["front", "rear"]
    listed = person(Role.VIEWER).get("/api/v1/scenarios").json()["results"][0]
    assert (listed["videos"], listed["size"]) == (2, 3_005_000)


@pytest.mark.parametrize("content", [samples.HTML, samples.EXE, samples.HEIC, samples.WAV, b"x"])
def test_what_is_no_footage_is_refused_whatever_its_name(car: Car, media: Path, content: bytes) -> None:
    post(car, "", BODY)
    reply = send(car, content + b"\0" * 900)
    assert reply.status_code == 422 and reply.json()["errors"][0]["field"] == "file"
    assert stored(media) == [] and Video.objects.count() == 0


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (samples.MP4, "video/mp4"),
        (samples.MOV, "video/quicktime"),
        (samples.WEBM, "video/webm"),
        (samples.MKV, "video/x-matroska"),
        (samples.AVI, "video/x-msvideo"),
        (samples.JPEG, "image/jpeg"),
        (samples.MPEG_TS, "video/mp2t"),
    ],
)
def test_what_is_footage(head: bytes, kind: str) -> None:
    assert files.sniffed(samples.footage(files.HEAD_BYTES, head)) == kind
    assert kind in files.SUFFIXES


def test_wrong_hash_too_large_and_no_file(car: Car, media: Path, settings: DjangoSettings) -> None:
    post(car, "", BODY)
    assert send(car, samples.footage(900), sha256="0" * 64).status_code == 422
    settings.FOOTAGE = dataclasses.replace(settings.FOOTAGE, file_bytes=899)
    assert send(car, samples.footage(900)).status_code == 413
    settings.FOOTAGE = dataclasses.replace(settings.FOOTAGE, file_bytes=0, fleet_bytes=1500)
    assert send(car, samples.footage(900)).status_code == 201
    assert send(car, samples.footage(900), "rear").status_code == 413, "the fleet's limit"
    nothing = device(car).post(f"/api/v1/scenarios/{BODY['scenario_id']}/videos", {"camera": "x"})
    assert nothing.status_code == 400 and nothing.json()["errors"][0]["field"] == "file"
    assert len(stored(media)) == 1


class TestPlayback:
    CONTENT = samples.footage(10_000)

    @pytest.fixture
    def address(self, car: Car) -> str:
        post(car, "", BODY)
        return str(send(car, self.CONTENT, name='fr"ont\r\n.mp4').json()["url"])

    @pytest.fixture
    def viewer(self, car: Car) -> Client:
        return person(Role.VIEWER)

    def test_whole(self, address: str, viewer: Client) -> None:
        reply: Any = viewer.get(address)
        assert reply.status_code == 200 and b"".join(reply.streaming_content) == self.CONTENT
        assert reply["Content-Type"] == "video/mp4" and reply["X-Content-Type-Options"] == "nosniff"
        assert reply["Accept-Ranges"] == "bytes" and reply["Content-Length"] == "10000"
        assert (
            reply["Content-Disposition"].startswith("inline; filename=")
            and "\n" not in reply["Content-Disposition"]
        )
        assert viewer.get(address + "?download=1")["Content-Disposition"].startswith("attachment")
        assert viewer.get(address, headers={"If-None-Match": reply["ETag"]}).status_code == 304

    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=0-", 0, 9999),
            ("bytes=100-199", 100, 199),
            ("bytes=9000-99999", 9000, 9999),
            ("bytes=-5", 9995, 9999),
            ("bytes=-99999", 0, 9999),
        ],
    )
    def test_ranges(self, address: str, viewer: Client, asked: str, first: int, last: int) -> None:
        reply: Any = viewer.get(address, headers={"Range": asked})
        assert reply.status_code == 206
        assert b"".join(reply.streaming_content) == self.CONTENT[first : last + 1]
        assert reply["Content-Range"] == f"bytes {first}-{last}/10000"
        assert reply["Content-Length"] == str(last - first + 1)

    @pytest.mark.parametrize("asked", ["bytes=10000-", "bytes=-0", "bytes=20000-30000"])
    def test_beyond_the_end(self, address: str, viewer: Client, asked: str) -> None:
        reply = viewer.get(address, headers={"Range": asked})
        assert reply.status_code == 416 and reply["Content-Range"] == "bytes */10000"

    @pytest.mark.parametrize("asked", ["bytes=5-3", "bytes=0-1,5-6", "lines=1-2", "bytes=-"])
    def test_what_is_no_range_means_all(self, address: str, viewer: Client, asked: str) -> None:
        assert viewer.get(address, headers={"Range": asked}).status_code == 200

    def test_of_another_version(self, address: str, viewer: Client) -> None:
        reply = viewer.get(address, headers={"Range": "bytes=0-0", "If-Range": '"older"'})
        assert reply.status_code == 200

    def test_who_may_see_it(self, car: Car, address: str) -> None:
        assert device(car).get(address).status_code == 403
        make_car("south", "bus")
        assert person(Role.OWNER, "south").get(address).status_code == 404


class TestTheEnd:
    @pytest.fixture(autouse=True)
    def scenario(self, car: Car) -> Scenario:
        post(car, "", BODY)
        send(car, samples.footage(900))
        post(
            car, f"/{BODY['scenario_id']}/annotations", {"annotations": [{"timestamp": 3, "label": "brake"}]}
        )
        return Scenario.objects.get()

    @pytest.mark.parametrize("who", ["device", "manager"])
    def test_withdrawn(self, car: Car, media: Path, who: str) -> None:
        client = device(car) if who == "device" else person(Role.MANAGER)
        address = f"/api/v1/scenarios/{Scenario.objects.get().uid}"
        assert len(stored(media)) == 1
        assert client.delete(address).status_code == 204
        assert stored(media) == [] and Video.objects.count() == Annotation.objects.count() == 0
        assert client.get(address).status_code == client.delete(address).status_code == 404
        entry = AuditEntry.objects.get(action="scenario.withdrawn")
        assert entry.before["videos"][0].startswith("front: 900 bytes") and entry.after["videos"] == []
        assert (
            entry.actor == ("device van-logger" if who == "device" else "manager@example.com") or entry.actor
        )
        assert (entry.user is None) == (who == "device")
        assert post(car, "", BODY).status_code == 409, "still in the device's queue"
        assert send(car, samples.footage(900)).status_code == 404
        assert Scenario.objects.get().metadata == {}

    def test_viewers_and_outsiders_withdraw_nothing(self, media: Path) -> None:
        make_car("south", "bus")
        address = f"/api/v1/scenarios/{Scenario.objects.get().uid}"
        assert person(Role.VIEWER).delete(address).status_code == 403
        assert person(Role.OWNER, "south").delete(address).status_code == 404
        assert len(stored(media)) == 1 and not AuditEntry.objects.exists()

    def test_grown_old(self, media: Path, settings: DjangoSettings) -> None:
        def age(days: float) -> None:
            Scenario.objects.update(received_at=timezone.now() - timedelta(days=days))

        settings.FOOTAGE = dataclasses.replace(settings.FOOTAGE, days=30)
        age(29.9)
        expire_footage()
        assert len(stored(media)) == 1
        Fleet.objects.update(footage_days=0)
        age(4000)
        expire_footage()
        assert len(stored(media)) == 1, "this fleet keeps its footage"
        Fleet.objects.update(footage_days=7)
        age(7.1)
        for _ in range(2):
            expire_footage()
        assert stored(media) == [] and Video.objects.count() == 0
        row = Scenario.objects.get()
        assert row.expired_at and row.metadata and row.annotations.count() == 1
        entry = AuditEntry.objects.get(action="footage.expired")
        assert entry.actor == "convoy" and "front: 900 bytes" in entry.before["videos"][0]
        Fleet.objects.update(footage_days=None)
        assert scenarios.expire(timezone.now()) == 0

    def test_files_without_a_row_are_swept(self, media: Path) -> None:
        kept = stored(media)
        old, young = (
            files.save("footage/1/x/old", _Bytes(b"old")),
            files.save("uploads/y/young", _Bytes(b"young")),
        )
        before = time.time() - 7 * 3600
        for path in (media / old, *kept):
            os.utime(path, (before, before))
        expire_footage()
        assert sorted(stored(media)) == sorted([*kept, media / young])


class _Bytes:
    def __init__(self, content: bytes) -> None:
        self._parts: Iterator[bytes] = iter([content])

    def read(self, size: int = -1) -> bytes:
        return next(self._parts, b"")


def test_queries_do_not_grow(car: Car, django_assert_num_queries: Any) -> None:
    for number in range(6):
        post(car, "", BODY | {"scenario_id": f"s{number}"})
    viewer = person(Role.VIEWER)
    with django_assert_num_queries(4):  # session, user, memberships, scenarios
        assert len(viewer.get("/api/v1/scenarios").json()["results"]) == 6
    with django_assert_num_queries(4 + 2):  # scenario, videos, annotations
        assert viewer.get("/api/v1/scenarios/s3").status_code == 200
    assert [row["scenario_id"] for row in viewer.get("/api/v1/scenarios?limit=2").json()["results"]] == [
        "s5",
        "s4",
    ]
    assert viewer.get("/api/v1/scenarios?trigger=other").json()["results"] == []
