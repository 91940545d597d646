"""A request body becomes a Delivery. Shared by every transport that carries Telemetry."""

import hashlib
from typing import Any

import orjson
from django.conf import settings
from google.protobuf.message import DecodeError

from edge.protocol.checks import BadRecordError, check
from edge.protocol.content import signals_of
from edge.protocol.telemetry_pb2 import RawTelemetryBatch, Telemetry
from edge.protocol.text import message_from_json
from fleet.access import Principal
from fleet.api.packed import Refused, unpacked
from telemetry.frames import Arrival, Delivery, Rejection

PROTOBUF = frozenset({"application/x-protobuf", "application/protobuf", "application/octet-stream"})
JSON = "application/json"
_BATCH_MARK = 0x7A


class RefusedError(Exception):
    """The whole body is refused; `status` is HTTP's."""

    def __init__(self, status: int, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.field = field


def read(body: bytes, content_type: str, principal: Principal, now: float) -> Delivery:
    """Parse and check a body. Good records are kept, bad ones listed; raises RefusedError when none can be."""
    kind = content_type.partition(";")[0].strip().lower() or _kind_of(body)
    if kind in PROTOBUF:
        records, vin, stream_id = _from_protobuf(body)
    elif kind == JSON:
        records, vin, stream_id = _from_json(body)
    else:
        raise RefusedError(415, f"Content-Type {kind}: send application/x-protobuf or application/json")
    if not records:
        raise RefusedError(400, "the body holds no record")
    if len(records) > settings.TELEMETRY_BATCH_LIMIT:
        limit = settings.TELEMETRY_BATCH_LIMIT
        raise RefusedError(413, f"{len(records)} records in one batch: send at most {limit}")
    return _Checker(principal, vin, stream_id, now).check_all(records)


def _kind_of(body: bytes) -> str:
    """Of a body that nobody named the type of. No message of ours begins as JSON does: 0x7b and 0x5b end a group."""
    return JSON if body.lstrip()[:1] in {b"{", b"["} else "application/x-protobuf"


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo the Content-Encoding, never beyond `limit` bytes."""
    try:
        return unpacked(body, encoding, limit)
    except Refused as error:
        raise RefusedError(error.status_code, error.reason) from error


def _from_protobuf(body: bytes) -> tuple[list[Any], str, int]:
    if not body:
        return [], "", 0
    if body[0] != _BATCH_MARK:
        return [body], "", 0
    try:
        batch = RawTelemetryBatch.FromString(body)
    except DecodeError as error:
        raise RefusedError(400, "not a valid TelemetryBatch: damaged or cut off") from error
    return list(batch.records), batch.vin, batch.stream_id


def _from_json(body: bytes) -> tuple[list[Any], str, int]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"not valid JSON: {error}") from error
    if isinstance(content, list):
        return content, "", 0
    if isinstance(content, dict) and isinstance(content.get("records"), list):
        return content["records"], str(content.get("vin") or ""), _stream_id(content.get("stream_id") or 0)
    return [content], "", 0


def _stream_id(value: Any) -> int:
    """A whole number, or one as text, because JavaScript cannot hold 63 bits."""
    if isinstance(value, int) or (isinstance(value, str) and value.isdecimal() and len(value) < 20):
        number = int(value)
        if 0 <= number < 2**63:
            return number
    raise RefusedError(400, "stream_id is not a whole number from 0 to 2^63-1", "stream_id")


class _Checker:
    """One body's records against one principal."""

    def __init__(self, principal: Principal, vin: str, stream_id: int, now: float) -> None:
        assert principal.device_id is not None and principal.vehicle_id is not None
        self.device_id, self.vehicle_id = principal.device_id, principal.vehicle_id
        self.own_vin = principal.vin
        self.vin, self.stream_id = vin, stream_id
        self.now, self.received_us = now, int(now * 1e6)
        self.transmitted = self.skipped = 0
        self.unverified: list[int] = []

    def check_all(self, records: list[Any]) -> Delivery:
        arrivals: list[Arrival] = []
        rejected: list[Rejection] = []
        for index, raw in enumerate(records):
            try:
                arrivals.append(self._one(raw))
            except BadRecordError as bad:
                status = 404 if bad.field == "vin" else 400
                rejected.append(Rejection(index, bad.field, bad.reason, status))
        return Delivery(arrivals, rejected, self.transmitted, self.skipped, self.unverified)

    def _one(self, raw: Any) -> Arrival:
        if isinstance(raw, bytes):
            try:
                message, payload = Telemetry.FromString(raw), raw
            except DecodeError:
                raise BadRecordError("", "not a valid Telemetry message: damaged or cut off") from None
        else:
            message = message_from_json(raw)
            payload = b""
        vin = message.vin or self.vin
        if vin and vin.upper() != self.own_vin:
            raise BadRecordError("vin", f"{vin[:40]!r} is not this token's vehicle")
        stream_id = message.stream_id or self.stream_id
        sent = check(message, vin, stream_id, self.now)
        self.transmitted += sent
        payload = payload or message.SerializeToString()
        if stream_id:
            self.skipped += message.omitted
            sequence = message.sequence
        else:
            self.unverified.append(signals_of(message)[0].mask)
            sequence = fingerprint(message)
        time_us = int(message.timestamp * 1e6 + 0.5)
        return Arrival(
            self.device_id,
            self.vehicle_id,
            stream_id,
            sequence,
            time_us,
            self.received_us,
            payload,
            message.keyframe,
        )


def fingerprint(message: Telemetry) -> int:
    """63 bits over an unverified record's content: the same content is the same record."""
    content = message.SerializeToString(deterministic=True)
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") >> 1
