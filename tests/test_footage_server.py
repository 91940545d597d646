"""Uploads and playback through the real servers, with an independent client, sockets that are cut, and a kill -9."""

import hashlib
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from fleet.tests.footage_samples import footage
from tests import migrated
from tests.environment import PYTHON, ROOT
from tests.servers import Site, wait_until

pytestmark = pytest.mark.services

MB = 1024 * 1024


class Server:
    """A started site with one device, whatever serves it."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.site = Site(folder, REPLAY="0", API_RATE="100000/min")
        assert self.site.env
        if kind == "uvicorn":
            self.site.command = [PYTHON, "-m", "config.uvicorn", "--port", str(self.site.port)]
        migrated.sqlite(folder / "data")
        found = re.search(r"cvy_\w+_[\w-]+", self._manage("provision", "north", "van"))
        assert found
        self.headers = {"Authorization": f"Bearer {found[0]}"}
        self.site.start()
        self.api = f"{self.site.url}/api/v1/scenarios"

    def _manage(self, *arguments: str) -> str:
        command = [PYTHON, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.site.env, capture_output=True, text=True, check=True
        )
        return done.stdout

    def scenario(self, name: str) -> str:
        body = {"scenario_id": name, "vehicle_id": "van", "timestamp": 1731839445, "consent": True}
        reply = requests.post(self.api, json=body, headers=self.headers, timeout=30)
        assert reply.status_code == 201, reply.text
        return f"{self.api}/{reply.json()['id']}"

    def uploader(self, address: str, path: Path, **options: Any) -> Any:
        client = TusClient(f"{address}/videos", headers=self.headers)
        told = {
            "camera": "front",
            "filename": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        return client.uploader(file_stream=BytesIO(path.read_bytes()), metadata=told, **options)

    def head(self, address: str) -> int:
        headers = self.headers | {"Tus-Resumable": "1.0.0"}
        return int(requests.head(address, headers=headers, timeout=30).headers["Upload-Offset"])


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def server(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp(request.param), request.param)
    yield running
    running.site.stop()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "front.mp4"
    path.write_bytes(footage(12 * MB + 345))
    return path


def cut(server: Server, address: str, content: bytes, offset: int, length: int) -> None:
    """A PATCH that announces `length` bytes, sends `content`, and closes the socket."""
    place = urlsplit(address)
    with socket.create_connection((str(place.hostname), int(place.port or 80))) as line:
        head = [
            f"PATCH {place.path} HTTP/1.1", f"Host: {place.netloc}", "Tus-Resumable: 1.0.0",
            "Content-Type: application/offset+octet-stream", f"Upload-Offset: {offset}", f"Content-Length: {length}",
            f"Authorization: {server.headers['Authorization']}",
        ]  # fmt: skip
        line.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + content)


def check_video(server: Server, scenario: str, film: Path) -> None:
    (video,) = requests.get(scenario, headers=server.headers, timeout=30).json()["videos"]
    assert video["sha256"] == hashlib.sha256(film.read_bytes()).hexdigest()
    assert (video["camera"], video["filename"], video["size"]) == ("front", "front.mp4", film.stat().st_size)


@pytest.mark.parametrize("chunk", [5 * MB + 1, sys.maxsize])
def test_an_independent_client(server: Server, film: Path, chunk: int) -> None:
    scenario = server.scenario(f"tus-{chunk}")
    server.uploader(scenario, film, chunk_size=chunk).upload()
    check_video(server, scenario, film)


def test_resumed_by_the_independent_client(server: Server, film: Path) -> None:
    """Some chunks, then a cut in the middle of one; another client object goes on where the server is."""
    scenario = server.scenario("resumed")
    first = server.uploader(scenario, film, chunk_size=2 * MB)
    first.upload(stop_at=4 * MB)
    content = film.read_bytes()
    cut(server, first.url, content[4 * MB : 7 * MB], 4 * MB, len(content) - 4 * MB)
    wait_until(lambda: server.head(first.url) > 4 * MB, "what had arrived to be kept")
    kept = server.head(first.url)
    assert 4 * MB < kept <= 7 * MB
    second = server.uploader(scenario, film, chunk_size=2 * MB, url=first.url)
    assert second.offset == kept
    second.upload()
    check_video(server, scenario, film)


def test_a_cut_before_the_first_byte(server: Server, film: Path) -> None:
    scenario = server.scenario("nothing")
    first = server.uploader(scenario, film)
    first.set_url(first.create_url())
    cut(server, first.url, b"", 0, film.stat().st_size)
    assert server.head(first.url) == 0
    server.uploader(scenario, film, url=first.url).upload()
    check_video(server, scenario, film)


def test_a_long_patch_at_the_wrong_offset_is_answered(server: Server, film: Path) -> None:
    """The answer comes while the body does; the connection can be used again."""
    scenario = server.scenario("wrong")
    first = server.uploader(scenario, film)
    first.set_url(first.create_url())
    headers = server.headers | {
        "Tus-Resumable": "1.0.0", "Upload-Offset": "77", "Content-Type": "application/offset+octet-stream",
    }  # fmt: skip
    with requests.Session() as session:
        reply = session.patch(first.url, film.read_bytes(), headers=headers, timeout=30)
        assert reply.status_code == 409 and reply.headers["Upload-Offset"] == "0"
        again = session.patch(
            first.url, film.read_bytes(), headers=headers | {"Upload-Offset": "0"}, timeout=60
        )
        assert again.status_code == 204 and again.headers["Upload-Offset"] == str(film.stat().st_size)
    check_video(server, scenario, film)


def test_multipart_and_playback(server: Server, film: Path) -> None:
    scenario = server.scenario("multipart")
    with film.open("rb") as file:
        reply = requests.post(
            f"{scenario}/videos",
            files={"file": file},
            data={"camera": "front"},
            headers=server.headers,
            timeout=60,
        )
    assert reply.status_code == 201, reply.text
    check_video(server, scenario, film)
    refused = requests.get(server.site.url + reply.json()["url"], headers=server.headers, timeout=30)
    assert refused.status_code == 403, "a device sees no footage"


def test_kill_9_in_the_middle_of_an_upload(tmp_path: Path, film: Path) -> None:
    server = Server(tmp_path, "daphne")
    scenario = server.scenario("killed")
    first = server.uploader(scenario, film, chunk_size=MB)
    first.upload(stop_at=3 * MB)
    server.site.kill()
    with pytest.raises((TusCommunicationError, requests.ConnectionError)):
        first.upload_chunk()
    server.site.start()
    assert server.head(first.url) == 3 * MB
    server.uploader(scenario, film, chunk_size=MB, url=first.url).upload()
    check_video(server, scenario, film)
    server.site.stop()
