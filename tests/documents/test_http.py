"""How HTTP libraries and people with curl really write requests: on every address the same."""

import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.documents.conftest import Cloud

pytestmark = pytest.mark.sqlite
TRIP = {"trip_id": "http-1", "vehicle_id": "vehicle_001", "start_time": 1731839445}


@pytest.fixture
def session(cloud: Cloud) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {cloud.tokens['sentinel']}"
        yield session


@pytest.mark.parametrize("path", ["/api/v1/trips", "/api/v1/trips/", "/api/v1//trips", "//api//v1/trips//"])
def test_a_slash_too_many(cloud: Cloud, session: requests.Session, path: str) -> None:
    assert session.get(f"{cloud.url}{path}", timeout=10, allow_redirects=False).status_code == 200
    assert session.post(f"{cloud.url}{path}", json=TRIP, timeout=10).ok


@pytest.mark.parametrize("path", ["/health/", "/status/", "/api/v1/health/"])
def test_a_slash_too_many_at_the_root(cloud: Cloud, path: str) -> None:
    assert requests.get(f"{cloud.url}{path}", timeout=10).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "application/json;charset=UTF-8", "Accept": "application/json, text/plain, */*"},
        {"Content-Type": "application/json", "Accept": "*/*", "Accept-Encoding": "gzip, deflate, br, zstd"},
        {"Content-Type": None, "Accept": None},
    ],
)
def test_headers_of_many_kinds(cloud: Cloud, session: requests.Session, headers: Any) -> None:
    body = json.dumps(TRIP | {"driver_id": "Jörg"}, ensure_ascii=False).encode()
    answer = session.post(f"{cloud.url}/api/v1/trips", data=body, headers=headers, timeout=10)
    assert answer.ok and answer.headers["Content-Type"] == "application/json", answer.text


@pytest.mark.parametrize("path", ["/api/v1/trips", "/api/v1/trips/http-1"])
def test_an_answer_in_json_whatever_is_accepted(cloud: Cloud, session: requests.Session, path: str) -> None:
    session.post(f"{cloud.url}/api/v1/trips", json=TRIP, timeout=10)
    for accept in ("application/json", "text/html,application/xhtml+xml,*/*;q=0.8", "application/*"):
        answer = session.get(f"{cloud.url}{path}", headers={"Accept": accept}, timeout=10)
        assert answer.status_code == 200 and answer.json()


def test_compressed_bodies(cloud: Cloud, session: requests.Session) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    body = gzip.compress(json.dumps(TRIP).encode())
    assert session.post(f"{cloud.url}/api/v1/trips", data=body, headers=headers, timeout=10).ok
    reading = gzip.compress(json.dumps({"cabin": {"temp": 20}, "timestamp": time.time()}).encode())
    assert session.post(f"{cloud.url}/api/v1/sensors/data", data=reading, headers=headers, timeout=10).ok
    bomb = gzip.compress(b" " * 50_000_000)
    answer = session.post(f"{cloud.url}/api/v1/trips", data=bomb, headers=headers, timeout=10)
    assert answer.status_code == 413 and answer.headers["Content-Type"] == "application/problem+json"
    answer = session.post(f"{cloud.url}/api/v1/trips", data=body[:-9], headers=headers, timeout=10)
    assert answer.status_code == 400


def test_a_body_in_chunks(cloud: Cloud, session: requests.Session) -> None:
    text = json.dumps(TRIP).encode()
    headers = {"Content-Type": "application/json"}
    for path, body in (("trips", text), ("sensors/data", b'{"cabin": {"temp": 21}}')):
        chunks = (body[n : n + 7] for n in range(0, len(body), 7))
        answer = session.post(f"{cloud.url}/api/v1/{path}", data=chunks, headers=headers, timeout=10)
        assert answer.ok, answer.text


def test_one_connection_for_many_requests(cloud: Cloud) -> None:
    """Also after errors whose body the server did not read."""
    connection = http.client.HTTPConnection(urlsplit(cloud.url).netloc, timeout=10)
    headers = {"X-API-Key": cloud.tokens["sentinel"], "Content-Type": "application/json"}
    connection.connect()
    first = connection.sock
    for path, body, expected in (
        ("/api/v1/trips", json.dumps(TRIP), {200, 201}),
        ("/api/v1/nowhere", "x" * 100_000, {404}),
        ("/api/v1/trips", "{", {400}),
        ("/api/v1/trips", json.dumps(TRIP), {200}),
    ):
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in expected and connection.sock is first
    connection.close()


def test_head_and_options_answer_everywhere(cloud: Cloud, session: requests.Session) -> None:
    schema = requests.get(f"{cloud.url}/api/schema?format=json", timeout=30).json()
    for path, operations in schema["paths"].items():
        address = cloud.url + path.replace("{", "").replace("}", "")
        options = session.options(address, timeout=10)
        assert options.status_code < 500, path
        if "get" in operations:
            head = session.head(address, timeout=10)
            assert head.status_code < 500 and not head.content, path
            assert head.status_code == session.get(address, timeout=10).status_code, path


def test_what_is_not_there_or_not_allowed_is_a_problem_document(
    cloud: Cloud, session: requests.Session
) -> None:
    for method, path, status in (
        ("GET", "/api/v1/nowhere", 404),
        ("GET", "/api/v1/vehicles/%00/status", 404),
        ("GET", "/api/v1/trips?vehicle=%00", 400),
        ("DELETE", "/api/v1/trips", 405),
        ("PATCH", "/logger/start", 405),
    ):
        answer = session.request(method, f"{cloud.url}{path}", timeout=10)
        assert answer.status_code == status, (method, path, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status and answer.json()["detail"]


def test_reads_that_repeat_cost_nothing(cloud: Cloud, session: requests.Session) -> None:
    for path in ("vehicles/vehicle_001/status", "sensor/vehicle_001", "models", "trips", "commands/kinds"):
        first = session.get(f"{cloud.url}/api/v1/{path}", timeout=10)
        tag = first.headers["ETag"]
        again = session.get(f"{cloud.url}/api/v1/{path}", headers={"If-None-Match": tag}, timeout=10)
        assert again.status_code == 304 and not again.content and again.headers["ETag"] == tag, path


def test_answers_say_what_is_left_of_the_rate(cloud: Cloud, session: requests.Session) -> None:
    counts = []
    for _ in range(2):
        answer = session.get(f"{cloud.url}/api/v1/trips", timeout=10)
        counts.append(int(answer.headers["X-RateLimit-Remaining"]))
        assert answer.headers["RateLimit-Policy"] == '"principal";q=1200;w=60'
        assert answer.headers["RateLimit"].startswith(f'"principal";r={counts[-1]};t=')
    assert counts[1] == counts[0] - 1 or counts[1] > counts[0]  # a new window


def test_a_body_too_large_is_refused_before_it_is_sent(cloud: Cloud) -> None:
    """With `Expect: 100-continue` curl waits for leave; others learn it while they are still sending."""
    address = urlsplit(cloud.url)
    assert address.hostname and address.port
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/scenarios/nowhere/videos HTTP/1.1\r\nHost: localhost\r\n"
            b"X-API-Key: " + cloud.tokens["sentinel"].encode() + b"\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 99000000000\r\n\r\n"
        )
        assert b" 413 " in connection.recv(100).splitlines()[0]
