"""POST /api/telemetry: both lanes give the same answers. The fast lane is ASGI, the other a DRF view."""

import gzip
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings as DjangoSettings
from rest_framework.throttling import SimpleRateThrottle

from devices.auth import tokens
from edge.protocol.telemetry_pb2 import Telemetry, TelemetryBatch
from telemetry import ingest
from telemetry.models import Frame, TelemetryRecord
from telemetry.transports.fast import FastLane
from tests.asgi import Client, Reply, application, routes
from tests.deliveries import drain_all
from tests.drives import PROTOBUF, START, batch, drive, encode
from tests.outage import database_down
from tests.world import Car, make_car

JSON = "application/json"
DOCUMENT = {"timestamp": START, "speed": 65.0, "battery": 82, "power": 12.5, "heading": 45}


@pytest.fixture(scope="module")
def fast() -> Any:
    yield application
    application.inbox._thread.submit(connections.close_all).result()


@pytest.fixture(params=["fast", "view"])
def lane(request: pytest.FixtureRequest, transactional_db: None, fast: Any) -> Any:
    return fast if request.param == "fast" else routes


@pytest.fixture
def client(lane: Any, car: Car) -> Client:
    return Client(lane, {"authorization": f"Bearer {car.token}"})


def post(client: Client, body: Any, content_type: str = JSON, **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.request("POST", "/api/telemetry", content, {"content-type": content_type, **given})


def refusal(reply: Reply, status: int) -> dict[str, Any]:
    """The JSON of a refusal, after checking what all refusals have in common."""
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == JSON
    content: dict[str, Any] = reply.json
    assert content["status"] == "error" and content["error"]
    assert b"Traceback" not in reply.body and b'File "' not in reply.body
    return content


def kept() -> int:
    return Frame.objects.count()


class TestAccepted:
    def test_protobuf_record_is_answered_as_the_document_says(self, client: Client, car: Car) -> None:
        first, second = encode(car.vin, drive(2))
        reply = post(client, first.SerializeToString(), PROTOBUF)
        assert reply.status == 200 and reply.headers["content-type"] == JSON
        assert reply.json == {
            "status": "success",
            "compression_ratio": 0.0,
            "transmitted_fields": 8,
            "skipped_fields": 0,
            "accepted": 1,
            "repeated": 0,
        }
        reply = post(client, second.SerializeToString(), PROTOBUF)
        sent, skipped = reply.json["transmitted_fields"], reply.json["skipped_fields"]
        assert sent + skipped == 8 and skipped == second.omitted > 0
        assert reply.json["compression_ratio"] == round(skipped / 8, 4)
        assert kept() == 2

    @pytest.mark.parametrize(
        "kind", [PROTOBUF, "application/protobuf", "application/octet-stream", "Application/X-Protobuf; v=1"]
    )
    def test_protobuf_by_any_name(self, client: Client, car: Car, kind: str) -> None:
        assert post(client, batch(encode(car.vin, drive(5))), kind).json["accepted"] == 5

    def test_batch_that_names_vin_and_stream_once(self, client: Client, car: Car) -> None:
        messages = encode(car.vin, drive(3), stream_id=99)
        for message in messages:
            message.ClearField("vin")
            message.ClearField("stream_id")
        body = TelemetryBatch(records=messages, vin=car.vin, stream_id=99).SerializeToString()
        assert post(client, body, PROTOBUF).json["accepted"] == 3
        assert set(Frame.objects.values_list("stream_id", "sequence")) == {(99, 1), (99, 2), (99, 3)}

    def test_json_record(self, client: Client, car: Car) -> None:
        reply = post(client, {"vin": car.vin, **DOCUMENT}, "application/json; charset=utf-8")
        assert reply.status == 200
        assert (reply.json["transmitted_fields"], reply.json["skipped_fields"]) == (4, 0)

    @pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"records": rows}])
    def test_json_batches(self, client: Client, car: Car, wrap: Any) -> None:
        rows = [{**DOCUMENT, "timestamp": START + n} for n in range(4)]
        assert post(client, wrap(rows)).json["accepted"] == 4
        assert set(Frame.objects.values_list("vehicle_id", flat=True)) == {car.vehicle.pk}

    def test_json_stream_named_once(self, client: Client, car: Car) -> None:
        message = encode(car.vin, drive(1), stream_id=7)[0]
        row = {f.name: value for f, value in message.ListFields() if f.name not in {"vin", "stream_id"}}
        assert post(client, {"vin": car.vin, "stream_id": "7", "records": [row]}).json["accepted"] == 1
        drain_all()
        assert TelemetryRecord.objects.get().quality == 0

    def test_aliases_and_iso_times_and_unknown_keys(self, client: Client, car: Car) -> None:
        row = {
            "vehicle_vin": car.vin,
            "time": "2026-09-21T10:00:00+02:00",
            "soc": 50,
            "gps": {"lat": 1.5, "lng": 2.5},
        }
        assert post(client, {**row, "driver": "Kim", "tyres": {"front": 2.4}}).status == 200
        drain_all()
        record = TelemetryRecord.objects.get()
        assert (record.battery_percent, record.latitude_deg, record.longitude_deg) == (50, 1.5, 2.5)
        assert record.time.isoformat() == "2026-09-21T08:00:00+00:00"
        assert record.extra == {"driver": "Kim", "tyres.front": 2.4}

    @pytest.mark.parametrize("members", [1, 2])
    def test_gzip(self, client: Client, car: Car, members: int) -> None:
        body = batch(encode(car.vin, drive(10)))
        half = len(body) // members
        packed = b"".join(gzip.compress(body[at : at + half + 1]) for at in range(0, len(body), half + 1))
        assert post(client, packed, PROTOBUF, content_encoding="GZIP").json["accepted"] == 10

    def test_body_in_many_pieces(self, client: Client, car: Car) -> None:
        body = batch(encode(car.vin, drive(10)))
        reply = client.request("POST", "/api/telemetry", body, {"content-type": PROTOBUF}, pieces=7)
        assert reply.json["accepted"] == 10

    def test_api_key_header(self, lane: Any, car: Car) -> None:
        assert post(Client(lane, {"x-api-key": car.token}), DOCUMENT).status == 200

    def test_repeated_records_are_acknowledged_and_counted(self, client: Client, car: Car) -> None:
        body = batch(encode(car.vin, drive(5)))
        assert post(client, body, PROTOBUF).json["accepted"] == 5
        again = post(client, body, PROTOBUF).json
        assert (again["accepted"], again["repeated"]) == (0, 5)
        twice = post(client, [DOCUMENT, DOCUMENT]).json
        assert (twice["accepted"], twice["repeated"]) == (1, 1)
        assert kept() == 6

    def test_repeated_after_the_drain_is_stored_once(self, client: Client, car: Car) -> None:
        body = batch(encode(car.vin, drive(5)))
        for _ in range(3):
            assert post(client, body, PROTOBUF).status == 200
            drain_all()
        assert TelemetryRecord.objects.count() == 5 and kept() == 0

    def test_good_records_are_kept_and_bad_ones_listed(self, client: Client) -> None:
        rows = [DOCUMENT, {**DOCUMENT, "latitude": 91}, {**DOCUMENT, "timestamp": START + 1}, {"speed": 1}, 7]
        reply = post(client, rows)
        assert reply.status == 200 and reply.json["accepted"] == 2
        assert [(row["record"], row["field"]) for row in reply.json["rejected"]] == [
            (1, "latitude"),
            (3, "timestamp"),
            (4, ""),
        ]
        assert all(row["reason"] for row in reply.json["rejected"])
        assert kept() == 2

    def test_asks_for_a_keyframe_at_a_gap_and_no_longer_after_one(self, client: Client, car: Car) -> None:
        messages = encode(car.vin, drive(12), keyframe_every=6)
        answers = [post(client, messages[n].SerializeToString(), PROTOBUF).json for n in (0, 1, 3, 4, 6, 7)]
        assert [bool(answer.get("keyframe")) for answer in answers] == [
            False,
            False,
            True,
            True,
            False,
            False,
        ]


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"speed": "NaN"}, "speed"),
            ({"speed": "fast"}, "speed"),
            ({"latitude": 90.5}, "latitude"),
            ({"longitude": -181}, "longitude"),
            ({"timestamp": None}, "timestamp"),
            ({"timestamp": "soon"}, "timestamp"),
            ({"timestamp": 1e308}, "timestamp"),
            ({"timestamp": "NaN"}, "timestamp"),
            ({"timestamp": START + 10**9}, "timestamp"),
            ({"sequence": 3, "stream_id": 5}, "content_crc"),
            ({"sequence": -1, "stream_id": 5}, "sequence"),
            ({"stream_id": -5, "sequence": 1}, "stream_id"),
            ({"stream_id": 2**63, "sequence": 1}, "stream_id"),
            ({"catalogue": "wishes-1"}, "catalogue"),
            ({"unavailable": ["sunshine"]}, "unavailable"),
            ({"unavailable": [3_000]}, "unavailable"),
            ({"content_crc": 5}, "content_crc"),
            ({"x" * 600: 1}, "extra"),
            ({f"key{n}": n for n in range(300)}, "extra"),
        ],
    )  # fmt: skip
    def test_bad_record_names_its_field(self, client: Client, change: dict[str, Any], field: str) -> None:
        content = refusal(post(client, {**DOCUMENT, **change}), 400)
        assert content["field"] == field
        assert content["rejected"][0]["record"] == 0
        assert kept() == 0

    @pytest.mark.parametrize("stream_id", [-5, 2**63, "x", 1.5, [1], "9" * 5000])
    def test_bad_stream_of_a_json_batch(self, client: Client, stream_id: Any) -> None:
        body = {"stream_id": stream_id, "records": [{**DOCUMENT, "sequence": 1}]}
        assert refusal(post(client, body), 400)["field"] == "stream_id"

    def test_nan_and_infinity_in_protobuf(self, client: Client) -> None:
        for value in (float("nan"), float("inf")):
            body = Telemetry(timestamp=START, speed=value).SerializeToString()
            assert refusal(post(client, body, PROTOBUF), 400)["field"] == "speed"
            body = Telemetry(timestamp=START, extra={"x": value}).SerializeToString()
            assert refusal(post(client, body, PROTOBUF), 400)["field"] == "extra.x"

    @pytest.mark.parametrize(
        "body", [b"[1, 2", b"{", b"nonsense", b"\xff\xfe", b'"text"', b"[]", b'{"records": []}', b"null"]
    )
    def test_bad_json(self, client: Client, body: bytes) -> None:
        refusal(post(client, body), 400)

    @pytest.mark.parametrize("opening", ['{"a":', "[", '{"a":[', '{"records":[{"a":'])
    def test_deep_json(self, client: Client, opening: str) -> None:
        for depth in (300, 900, 5_000):
            assert post(client, (opening * depth).encode()).status == 400
            closing = "".join({"{": "}", "[": "]"}[c] for c in reversed(opening) if c in "{[")
            assert post(client, (opening * depth + "1" + closing * depth).encode()).status == 400
        assert kept() == 0

    def test_truncated_protobuf(self, client: Client, car: Car) -> None:
        whole = encode(car.vin, drive(1))[0].SerializeToString()
        for cut in (len(whole) - 1, len(whole) // 2, 3):
            refusal(post(client, whole[:cut], PROTOBUF), 400)
        refusal(post(client, batch(encode(car.vin, drive(3)))[:-1], PROTOBUF), 400)
        assert kept() == 0

    def test_every_flipped_bit_is_noticed(self, client: Client, car: Car) -> None:
        whole = encode(car.vin, drive(1))[0].SerializeToString()
        for bit in range(0, len(whole) * 8, 7):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            reply = post(client, bytes(damaged), PROTOBUF)
            # The one byte of a `true` may change without a change of meaning.
            same = reply.status == 200 and Telemetry.FromString(bytes(damaged)) == Telemetry.FromString(whole)
            assert same or reply.status in {400, 404}, (bit, reply.body)

    def test_foreign_vehicle_is_not_found(self, client: Client) -> None:
        other = make_car("demo")
        content = refusal(post(client, {"vin": other.vin, **DOCUMENT}), 404)
        assert content["field"] == "vin"
        assert refusal(post(client, {"vin": "NOSUCHVEHICLE", **DOCUMENT}), 404)["field"] == "vin"
        assert kept() == 0

    def test_too_much(self, client: Client, car: Car, settings: DjangoSettings) -> None:
        big = b"\x0a" * (settings.TELEMETRY_BODY_LIMIT + 1)
        refusal(post(client, big, PROTOBUF), 413)
        refusal(post(client, big, PROTOBUF, content_length="17"), 413)
        refusal(post(client, gzip.compress(b"\0" * 5_000_000), PROTOBUF, content_encoding="gzip"), 413)
        refusal(post(client, b"[" + b"1," * 9_999 + b"1]"), 413)
        record = Telemetry(timestamp=START).SerializeToString()
        many = b"".join(b"\x7a" + bytes([len(record)]) + record for _ in range(10_000))
        assert "10000" in refusal(post(client, many, PROTOBUF), 413)["error"]
        assert kept() == 0

    @pytest.mark.parametrize(
        "body", [b"no gzip", gzip.compress(b"x" * 50, mtime=0)[:-9], gzip.compress(b"[]", mtime=0) + b"rest"]
    )
    def test_bad_gzip(self, client: Client, body: bytes) -> None:
        refusal(post(client, body, content_encoding="gzip"), 400)

    def test_encoding_we_do_not_speak(self, client: Client) -> None:
        refusal(post(client, DOCUMENT, content_encoding="br"), 415)

    @pytest.mark.parametrize(
        "kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
    )
    def test_wrong_content_type(self, client: Client, kind: str) -> None:
        refusal(post(client, DOCUMENT, kind), 415)

    @pytest.mark.parametrize("kind", [PROTOBUF, JSON])
    def test_empty_body(self, client: Client, kind: str) -> None:
        refusal(post(client, b"", kind), 400)
        refusal(post(client, b"", kind, content_encoding="gzip"), 400)

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
    def test_wrong_method(self, client: Client, method: str) -> None:
        reply = client.request(method, "/api/telemetry")
        refusal(reply, 405)
        assert "POST" in reply.headers["allow"]


class TestTokens:
    @pytest.mark.parametrize(
        "headers",
        [
            {}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Bearer wrong"},
            {"authorization": "Basic eDp5"}, {"x-api-key": "wrong"}, {"x-api-key": "ü" * 3000},
            {"authorization": "Bearer \0"},
        ],
    )  # fmt: skip
    def test_no_or_unknown_token(self, lane: Any, car: Car, headers: dict[str, str]) -> None:
        reply = post(Client(lane, headers), DOCUMENT)
        refusal(reply, 401)
        assert reply.headers["www-authenticate"].startswith("Bearer")
        assert kept() == 0

    @pytest.mark.parametrize("how", ["revoked", "expired", "inactive"])
    def test_token_that_ended(self, client: Client, car: Car, how: str) -> None:
        token = car.token_row
        if how == "revoked":
            token.revoke()
        elif how == "expired":
            token.expires_at = timezone.now() - timedelta(seconds=1)
            token.save()
        else:
            type(car.device).objects.filter(pk=car.device.pk).update(active=False)
        reply = post(client, DOCUMENT)
        refusal(reply, 401)
        assert reply.headers["www-authenticate"].startswith("Bearer")

    def test_revocation_takes_effect_within_the_cache_time(
        self, client: Client, car: Car, settings: DjangoSettings
    ) -> None:
        settings.TOKEN_CACHE_S = 0.4
        assert post(client, DOCUMENT).status == 200
        car.token_row.revoke()
        deadline = time.monotonic() + 0.4
        while post(client, DOCUMENT).status == 200:
            assert time.monotonic() < deadline + 0.2
            time.sleep(0.02)
        refusal(post(client, DOCUMENT), 401)

    def test_too_many_requests(
        self, lane: Any, car: Car, settings: DjangoSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.INGEST_RATE, settings.INGEST_BURST = "1/min", 3
        monkeypatch.setitem(SimpleRateThrottle.THROTTLE_RATES, "principal", "3/min")
        own = FastLane(routes) if isinstance(lane, FastLane) else lane
        client = Client(own, {"authorization": f"Bearer {car.token}"})
        replies = [post(client, {**DOCUMENT, "timestamp": START + n}) for n in range(5)]
        assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
        refusal(replies[3], 429)
        assert 0 < int(replies[3].headers["retry-after"]) <= 60
        assert kept() == 3
        if own is not lane:
            own.inbox._thread.submit(connections.close_all).result()

    def test_guesser_is_slowed_down(self, lane: Any, car: Car) -> None:
        guesser = Client(lane, {"authorization": "Bearer guess"}, address=f"198.51.100.{car.device.pk % 250}")
        statuses = {post(guesser, DOCUMENT).status for _ in range(60)}
        assert statuses <= {401, 429}
        if isinstance(lane, FastLane):
            assert 429 in statuses


class TestOutage:
    @pytest.mark.parametrize("known_token", [True, False])
    def test_database_down_is_503_and_nothing_is_kept(
        self, lane: Any, client: Client, car: Car, known_token: bool
    ) -> None:
        messages = encode(car.vin, drive(4))
        assert post(client, batch(messages[:2]), PROTOBUF).status == 200
        if not known_token:
            tokens.clear()
        with database_down(lambda act: application.inbox._thread.submit(act).result()):
            reply = post(client, batch(messages[2:]), PROTOBUF)
        refusal(reply, 503)
        assert int(reply.headers["retry-after"]) == ingest.RETRY_AFTER_S
        assert kept() == 2
        assert post(client, batch(messages), PROTOBUF).json["accepted"] == 2
        drain_all()
        assert TelemetryRecord.objects.count() == 4


KINDS = st.sampled_from([PROTOBUF, JSON, "text/plain", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
NAMES = st.sampled_from([
    "timestamp", "speed", "vin", "stream_id", "sequence", "keyframe", "catalogue", "unavailable", "omitted",
    "state_crc", "content_crc", "gps", "data", "extra", "labels", "records", "ignition",
])  # fmt: skip
FEW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class TestGarbage:
    """Whatever comes, the answer is a 4xx (or a 200 for what happens to be right), and the drain survives it."""

    def answered(self, client: Client, body: bytes, kind: str) -> None:
        reply = post(client, body, kind)
        assert reply.status < 500, (body, kind, reply.body)
        assert reply.status == 200 or reply.json["status"] == "error"

    @FEW
    @given(body=st.binary(max_size=400), kind=KINDS, mark=st.booleans())
    def test_random_bytes(self, client: Client, body: bytes, kind: str, mark: bool) -> None:
        self.answered(client, b"\x7a" * mark + body, kind)

    @FEW
    @given(content=st.dictionaries(NAMES | st.text(max_size=8), VALUES, max_size=6), timed=st.booleans())
    def test_random_json(self, client: Client, content: dict[str, Any], timed: bool) -> None:
        body = {**content, "timestamp": START} if timed else content
        self.answered(client, json.dumps(body).encode(), JSON)
        drain_all()
        assert kept() == 0

    @FEW
    @given(
        labels=st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3),
        number=st.floats(),
        unavailable=st.lists(st.integers(0, 2**32 - 1), max_size=3),
        stream=st.sampled_from([0, 1, 2**63 - 1, 2**64 - 1]),
        sequence=st.integers(0, 2**64 - 1),
    )
    def test_random_fields(
        self,
        client: Client,
        labels: dict[str, str],
        number: float,
        unavailable: list[int],
        stream: int,
        sequence: int,
    ) -> None:
        message = Telemetry(
            timestamp=START, labels=labels, extra={"n": number}, unavailable=unavailable, stream_id=stream,
            sequence=sequence, speed=number,
        )  # fmt: skip
        self.answered(client, message.SerializeToString(), PROTOBUF)
        drain_all()
        assert kept() == 0

    def test_words_that_break_json_columns(self, client: Client) -> None:
        words = ["\\u0000", "\\\\u0000", "a\\", '"', "\ud7ff", "\U0001f697"]
        rows = [
            {"timestamp": START + n, "word": word, word: word, "list": [word]} for n, word in enumerate(words)
        ]
        assert post(client, rows).json["accepted"] == len(words)
        drain_all()
        stored = TelemetryRecord.objects.order_by("time").values_list("extra", flat=True)
        assert [extra["word"] for extra in stored if extra] == words
