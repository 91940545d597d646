"""Resumable uploads: every offset durable, one winner among many writers, a video whole or not there."""

import base64
import dataclasses
import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import Settings as DjangoSettings

from fleet.models import Piece, Scenario, Upload, Video
from fleet.recording import footage as files
from fleet.recording import scenarios
from fleet.tests import footage_samples as samples
from tests.world import Car, make_car

TYPE = "application/offset+octet-stream"
CONTENT = samples.footage(10_000)


@pytest.fixture(autouse=True)
def media(settings: DjangoSettings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def car(transactional_db: None) -> Car:
    car = make_car("north", "van")
    Scenario.objects.create(
        fleet=car.vehicle.fleet, vehicle=car.vehicle, scenario_id="s1", time=timezone.now()
    )
    return car


def call(car: Car, method: str, path: str, body: bytes = b"", **headers: Any) -> Any:
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    client = Client(headers={"Authorization": f"Bearer {car.token}", "Tus-Resumable": "1.0.0"})
    return client.generic(method, path, body, headers=named, content_type=named.pop("Content-Type", TYPE))


def create(car: Car, length: int = len(CONTENT), **told: str) -> Any:
    metadata = ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in told.items())
    return call(
        car, "POST", "/api/v1/scenarios/s1/videos", Upload_Length=length, Upload_Metadata=metadata or "camera"
    )


def started(car: Car, **told: str) -> str:
    reply = create(car, len(CONTENT), **({"camera": "front", "filename": "a.mp4"} | told))
    assert reply.status_code == 201, reply.content
    return str(reply["Location"]).removeprefix("http://testserver")


def patch(car: Car, address: str, offset: int, body: bytes, **headers: Any) -> Any:
    return call(car, "PATCH", address, body, Upload_Offset=offset, **headers)


def stored(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]


def test_in_pieces(car: Car, media: Path) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    address = started(car, sha256=sha256)
    for first, last in ((0, 1000), (1000, 1001), (1001, 9999)):
        reply = patch(car, address, first, CONTENT[first:last])
        assert reply.status_code == 204 and reply["Upload-Offset"] == str(last) and reply["Upload-Expires"]
        told = call(car, "HEAD", address)
        assert told["Upload-Offset"] == str(last) and told["Upload-Length"] == "10000"
        assert told["Cache-Control"] == "no-store" and "sha256" in told["Upload-Metadata"]
        assert Video.objects.count() == 0, "a half-written file never appears as a video"
    assert patch(car, address, 9999, CONTENT[9999:]).status_code == 204
    video = Video.objects.get()
    assert (video.camera, video.filename, video.sha256, video.size_bytes) == (
        "front",
        "a.mp4",
        sha256,
        10_000,
    )
    with default_storage.open(video.stored_as) as file:
        assert file.read() == CONTENT
    assert len(stored(media)) == 1 and Piece.objects.count() == 0, "the pieces are gone"
    assert call(car, "HEAD", address)["Upload-Offset"] == "10000"
    assert patch(car, address, 10_000, b"x").status_code == 413
    assert len(stored(media)) == 1


def test_the_wrong_offset_is_told_the_right_one(car: Car, media: Path) -> None:
    address = started(car)
    patch(car, address, 0, CONTENT[:4000])
    for offset in (0, 3999, 4001, 10_000):
        reply = patch(car, address, offset, CONTENT[:100])
        assert reply.status_code == 409 and reply["Upload-Offset"] == "4000"
    assert len(stored(media)) == 1


def test_what_a_server_says_of_itself(car: Car) -> None:
    for address in ("/api/v1/scenarios/s1/videos", started(car)):
        reply = call(car, "OPTIONS", address)
        assert reply.status_code == 204 and reply["Tus-Version"] == reply["Tus-Resumable"] == "1.0.0"
        assert reply["Tus-Extension"] == "creation,expiration,checksum,termination"
        assert int(reply["Tus-Max-Size"]) > 10**9
    reply = call(car, "PATCH", started(car), b"x", Upload_Offset=0, Tus_Resumable="0.2.2")
    assert reply.status_code == 412 and reply["Tus-Version"] == "1.0.0"
    assert patch(car, started(car), 0, b"x", Content_Type="video/mp4").status_code == 415


def test_for_clients_that_know_post_only(car: Car) -> None:
    address = started(car)
    reply = call(car, "POST", address, CONTENT, Upload_Offset=0, X_HTTP_Method_Override="PATCH")
    assert reply.status_code == 204 and Video.objects.count() == 1


@pytest.mark.parametrize(
    ("length", "metadata"),
    [
        ("0", ""),
        ("-1", ""),
        ("x", ""),
        ("9" * 30, ""),
        ("10", "camera ???"),
        ("10", "sha256 YWJj"),
        ("10", "camera AAE="),
    ],
)
def test_a_creation_that_makes_no_sense(car: Car, length: str, metadata: str) -> None:
    reply = call(car, "POST", "/api/v1/scenarios/s1/videos", Upload_Length=length, Upload_Metadata=metadata)
    assert reply.status_code == 400 and Upload.objects.count() == 0


def test_limits(car: Car, settings: DjangoSettings) -> None:
    settings.FOOTAGE = dataclasses.replace(settings.FOOTAGE, file_bytes=20_000, fleet_bytes=25_000)
    assert create(car, 20_001).status_code == 413
    address = started(car)
    assert create(car, 15_001).status_code == 413, "what is announced counts"
    patch(car, address, 0, CONTENT)
    assert create(car, 15_001).status_code == 413, "what has arrived counts once"
    assert create(car, 15_000).status_code == 201


def test_more_than_was_announced(car: Car, media: Path) -> None:
    address = started(car)
    assert patch(car, address, 0, CONTENT + b"x").status_code == 413
    assert call(car, "HEAD", address)["Upload-Offset"] == "0" and stored(media) == []


@pytest.mark.parametrize("size", [1, 600, 10_000])
def test_what_is_no_footage_ends_the_upload(car: Car, media: Path, size: int) -> None:
    """As early as its beginning is there, else at the end."""
    page = (samples.HTML + b" " * 10_000)[:10_000]
    address = started(car, filename="a.mp4")
    codes = [patch(car, address, at, page[at : at + size]).status_code for at in range(0, 10_000, size)[:1]]
    if size == 1:
        codes.append(patch(car, address, 1, page[1:]).status_code)
    assert codes[-1] == 422
    assert call(car, "HEAD", address).status_code == 404
    assert stored(media) == [] and Video.objects.count() == 0


def test_another_hash_than_announced_ends_the_upload(car: Car, media: Path) -> None:
    address = started(car, sha256="0" * 64)
    patch(car, address, 0, CONTENT[:5000])
    reply = patch(car, address, 5000, CONTENT[5000:])
    assert reply.status_code == 422 and hashlib.sha256(CONTENT).hexdigest() in reply.json()["detail"]
    assert stored(media) == [] and Video.objects.count() == Upload.objects.count() == 0


@pytest.mark.parametrize("name", ["sha1", "sha256"])
def test_checksums_of_single_patches(car: Car, name: str) -> None:
    address = started(car)
    right = base64.b64encode(hashlib.new(name, CONTENT[:5000]).digest()).decode()
    wrong = patch(car, address, 0, CONTENT[:4999] + b"?", Upload_Checksum=f"{name} {right}")
    assert wrong.status_code == 460 and call(car, "HEAD", address)["Upload-Offset"] == "0"
    assert patch(car, address, 0, CONTENT[:5000], Upload_Checksum=f"{name} {right}").status_code == 204
    assert patch(car, address, 5000, CONTENT[5000:], Upload_Checksum="crc32 AAAA").status_code == 400


def test_given_up(car: Car, media: Path) -> None:
    address = started(car)
    patch(car, address, 0, CONTENT[:5000])
    assert call(car, "DELETE", address).status_code == 204
    assert stored(media) == [] and call(car, "HEAD", address).status_code == 404


def test_not_resumed_in_time(car: Car, media: Path) -> None:
    address = started(car)
    patch(car, address, 0, CONTENT[:5000])
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert patch(car, address, 5000, CONTENT[5000:]).status_code == 404
    scenarios.expire(timezone.now())
    assert stored(media) == [] and Upload.objects.count() == 0


def test_withdrawn_while_it_comes(car: Car, media: Path) -> None:
    address = started(car)
    patch(car, address, 0, CONTENT[:5000])
    assert call(car, "DELETE", "/api/v1/scenarios/s1").status_code == 204
    assert patch(car, address, 5000, CONTENT[5000:]).status_code == 404
    assert create(car).status_code == 404
    assert stored(media) == []


def test_somebody_elses_upload(car: Car) -> None:
    address = started(car)
    for stranger in (make_car("north", "truck"), make_car("south", "bus")):
        for method in ("HEAD", "PATCH", "DELETE"):
            assert call(stranger, method, address, Upload_Offset=0).status_code == 404


def at_once(count: int, work: Any) -> list[int]:
    gate = threading.Barrier(count)

    def run(number: int) -> int:
        try:
            gate.wait()
            return int(work(number).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return sorted(pool.map(run, range(count)))


def test_many_writers_of_one_offset(car: Car, media: Path) -> None:
    """Each sends other bytes: what is kept is all of one of them."""
    address = started(car)
    bodies = [samples.footage(6000 + number) for number in range(6)]
    codes = at_once(6, lambda number: patch(car, address, 0, bodies[number]))
    assert codes == [204] + [409] * 5
    offset = int(call(car, "HEAD", address)["Upload-Offset"])
    (piece,) = stored(media)
    assert piece.read_bytes() == samples.footage(offset)


def test_many_writers_of_the_end(car: Car, media: Path) -> None:
    address = started(car)
    patch(car, address, 0, CONTENT[:5000])
    codes = at_once(6, lambda number: patch(car, address, 5000, CONTENT[5000:]))
    assert codes == [204] + [409] * 5
    assert Video.objects.count() == 1 and len(stored(media)) == 1
    (path,) = stored(media)
    assert path.read_bytes() == CONTENT


def test_a_withdrawal_and_the_end_at_once(car: Car, media: Path) -> None:
    for _ in range(5):
        Scenario.objects.all().delete()
        Scenario.objects.create(
            fleet=car.vehicle.fleet, vehicle=car.vehicle, scenario_id="s1", time=timezone.now()
        )
        address = started(car)
        patch(car, address, 0, CONTENT[:5000])
        calls = [
            lambda: patch(car, address, 5000, CONTENT[5000:]),  # noqa: B023 - used before the loop goes on
            lambda: call(car, "DELETE", "/api/v1/scenarios/s1"),
        ]
        codes = at_once(2, lambda number: calls[number]())  # noqa: B023
        assert codes[0] == 204
        assert Video.objects.count() == 0 and stored(media) == []


def test_cameras_that_send_at_once(car: Car, media: Path) -> None:
    def camera(number: int) -> Any:
        address = started(car, camera=f"camera-{number}")
        patch(car, address, 0, CONTENT[:3000])
        return patch(car, address, 3000, CONTENT[3000:])

    assert at_once(4, camera) == [204] * 4
    whole = call(car, "GET", "/api/v1/scenarios/s1").json()
    assert len(whole["videos"]) == len(stored(media)) == 4


def test_the_same_video_again_is_the_same_row(car: Car, media: Path) -> None:
    for _ in range(2):
        assert patch(car, started(car), 0, CONTENT).status_code == 204
    assert Video.objects.count() == len(stored(media)) == 1


def test_a_storage_that_fails_moves_nothing(car: Car, media: Path) -> None:
    """A full disk: here the folder's place is taken by a file."""
    address = started(car)
    patch(car, address, 0, CONTENT[:5000])
    (media / files.VIDEOS).write_bytes(b"")
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {car.token}"})
    reply = client.generic(
        "PATCH", address, CONTENT[5000:], TYPE, headers={"Tus-Resumable": "1.0.0", "Upload-Offset": "5000"}
    )
    assert reply.status_code == 500
    assert call(car, "HEAD", address)["Upload-Offset"] == "5000"
    (media / files.VIDEOS).unlink()
    assert patch(car, address, 5000, CONTENT[5000:]).status_code == 204
    assert json.loads(call(car, "GET", "/api/v1/scenarios/s1").content)["videos"][0]["size"] == 10_000
