"""What a telemetry request is told, the same words on every HTTP transport."""

import math
from typing import Any

import orjson

from devices import refusals
from fleet.access import Principal
from telemetry.frames import Delivery, Receipt
from telemetry.ingest import RETRY_AFTER_S
from telemetry.models import ratio
from telemetry.transports.body import RefusedError

Answer = tuple[int, bytes, dict[str, str]]
"""Status, JSON body, further headers."""


def received(delivery: Delivery, receipt: Receipt) -> Answer:
    content: dict[str, Any] = {
        "status": "success",
        "compression_ratio": round(ratio(delivery.transmitted, receipt.skipped), 4),
        "transmitted_fields": delivery.transmitted,
        "skipped_fields": receipt.skipped,
        "accepted": receipt.accepted,
        "repeated": receipt.repeated,
    }
    if receipt.keyframe:
        content["keyframe"] = True
    if delivery.rejected:
        content["rejected"] = [rejection.as_json() for rejection in delivery.rejected]
    return 200, orjson.dumps(content), {}


def nothing_good(delivery: Delivery) -> Answer:
    """Every record was refused: the first reason is the answer's."""
    first = delivery.rejected[0]
    content = {
        "status": "error",
        "error": f"{first.field}: {first.reason}" if first.field else first.reason,
        "field": first.field,
        "rejected": [rejection.as_json() for rejection in delivery.rejected],
    }
    return first.status, orjson.dumps(content), {}


def refused(error: RefusedError) -> Answer:
    return _error(error.status, error.reason, field=error.field)


def unknown_token(sent: bool) -> Answer:
    reason = "The token is unknown, expired or revoked." if sent else "A device token is needed."
    return _error(401, reason, {"WWW-Authenticate": 'Bearer realm="convoy"'})


def out_of_scope() -> Answer:
    return _error(403, "This token may not send telemetry: its scopes lack 'telemetry'.")


def slow_down(seconds: float) -> Answer:
    return _error(429, "too many requests from this device", {"Retry-After": str(math.ceil(seconds))})


def unavailable() -> Answer:
    reason = "The database cannot be written now. Nothing was kept: send it again."
    return _error(503, reason, {"Retry-After": str(RETRY_AFTER_S)})


def failed() -> Answer:
    return _error(
        500, "The server failed. Nothing was kept: send it again.", {"Retry-After": str(RETRY_AFTER_S)}
    )


def wrong_method() -> Answer:
    return _error(405, "use POST", {"Allow": "POST"})


def note_refusal(reply: Answer, principal: Principal | None, token: str = "") -> None:
    """What a device is told it did wrong, kept for the people who wait for it."""
    status, body, _ = reply
    if principal is None and status == 401:
        refusals.note_token(token)
    elif principal is not None and principal.device_id is not None and 400 <= status < 500:
        refusals.note(principal.device_id, status, str(orjson.loads(body).get("error", "")))


def _error(status: int, reason: str, headers: dict[str, str] | None = None, field: str = "") -> Answer:
    content = {"status": "error", "error": reason}
    if field:
        content["field"] = field
    return status, orjson.dumps(content), headers or {}
