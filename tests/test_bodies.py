"""Bodies that are wrong as such, to every operation that takes one: refused with a problem document, never 500."""

import gzip
import json
from typing import Any

import pytest
from django.test import Client

from tests.test_permissions import World

JSON = "application/json"
HUGE = b'"' + b"x" * 10_000_000 + b'"'
GARBAGE: list[tuple[str, bytes, str]] = [
    ("nothing", b"", JSON),
    ("no JSON", b"{", JSON),
    ("no Unicode", b'{"a": "\xff\xfe"}', JSON),
    ("NUL in a text", b'{"type": "a\\u0000b", "name": "\\u0000"}', JSON),
    ("NUL in a name", b'{"a\\u0000": 1}', JSON),
    ("half a character", b'{"type": "\\ud800", "status": "\\udc00"}', JSON),
    ("NaN", b'{"distance": NaN, "version": Infinity}', JSON),
    ("a huge number", b'{"version": 1' + b"0" * 400 + b', "ttl_s": 123456789012345678901234567890}', JSON),
    ("a tower", b"[" * 100_000, JSON),
    ("a tower of names", b'{"a":' * 500 + b"1" + b"}" * 500, JSON),
    ("ten megabytes", b'{"name": ' + HUGE + b"}", JSON),
    ("a list", b"[1, null, [], {}]", JSON),
    ("a number", b"7", JSON),
    ("a text", b'"text"', JSON),
    ("another charset", '{"name": "ü"}'.encode("latin-1"), f"{JSON}; charset=latin-1"),
    ("another type", b"<name/>", "application/xml"),
    ("a form without parts", b"--x--\r\n", "multipart/form-data; boundary=x"),
    ("a form without a boundary", b"x", "multipart/form-data"),
]
# Without a body they do what they are asked to.
BODILESS = (
    "/logger/start",
    "/logger/stop",
    "/cancel",
    "/approve",
    "/restore",
    "/lift",
    "/rotate",
    "/resend",
    "/read",
    "/test",
    "/secret",
    "/acknowledge",
    "/status",
    "/retire",
    "/revive",
    "/run",
)


@pytest.fixture
def world(db: None) -> World:
    return World()


def operations(world: World) -> list[tuple[str, str]]:
    schema = json.loads(Client().get("/api/schema?format=json").content)
    places = world.places()
    return [
        (method, path.format(**places))
        for path, item in schema["paths"].items()
        for method in item
        if method in {"post", "put", "patch"}
    ]


@pytest.mark.timeout(600)
def test_garbage(world: World) -> None:
    """Sent by the device, and by the owner where the device may not do the thing at all."""
    wrong, addresses = [], operations(world)
    for name, body, content_type in GARBAGE:
        for method, path in addresses:
            for caller in ("own device", "owner"):
                client, headers = world.client(caller)
                answer = client.generic(method.upper(), path, body, content_type, **headers)
                if answer.status_code not in {401, 403, 404}:
                    break
            if answer.status_code < 400 and (name == "nothing" or path.endswith(BODILESS)):
                continue
            kind = answer.headers.get("Content-Type", "")
            if not 400 <= answer.status_code < 500 or "json" not in kind:
                wrong.append((name, method, path, caller, answer.status_code, kind, answer.content[:200]))
    assert not wrong


def test_the_field_is_named(world: World) -> None:
    client, headers = world.client("own device")
    for body, field in (
        (b'{"a": {"b": ["x", "\\u0000"]}}', "a.b[1]"),
        (b'{"a": [{"b": NaN}]}', "a[0].b"),
        (b'{"\\u0000": 1}', "?"),
        (b'{"a": "\\ud800"}', "a"),
        (b'{"a": 9223372036854775808}', "a"),
    ):
        answer = client.generic("POST", "/api/v1/alerts/trigger", body, JSON, **headers)
        assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == field, answer.content


def test_large_numbers_that_fit_stay_what_they_are(world: World) -> None:
    client, headers = world.client("own device")
    body = {"type": "t", "data": {"n": 2**63 - 1, "text": "ü\\u0000", "f": 1e300}}
    answer = client.post("/api/v1/alerts/trigger", body, JSON, **headers)
    assert answer.json()["data"] == body["data"]


def test_compressed_bodies(world: World) -> None:
    client, headers = world.client("own device")

    def send(body: bytes, encoding: str = "gzip") -> Any:
        return client.generic(
            "POST", "/api/v1/alerts/trigger", body, JSON, HTTP_CONTENT_ENCODING=encoding, **headers
        )

    packed = gzip.compress(b'{"type": "t"}')
    assert send(packed).status_code == 201 and send(packed + gzip.compress(b" ")).status_code == 200
    assert send(packed[:-3]).status_code == 400 and send(b"no gzip").status_code == 400
    assert send(gzip.compress(b" " * 30_000_000)).status_code == 413
    assert send(packed, "br").status_code == 415
