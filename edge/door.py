"""One POST of a batch to the server, and what its answer means. Knows nothing of queues or time."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from edge.frames import Batch, Refusal
from edge.protocol.telemetry_pb2 import RawTelemetryBatch

TIMEOUT_S: Final = (5.0, 20.0)
"""To connect, and between two bytes of the answer."""
GZIP_FROM_BYTES: Final = 400
_RETRY_SOON: Final = frozenset({408, 425, 429})


class Outcome(Enum):
    TAKEN = auto()
    """Committed, but for the refused ones."""
    SPLIT = auto()
    """Send fewer at a time."""
    DENIED = auto()
    """A person must change something: token, VIN or address."""
    LATER = auto()
    """Send the same again after a while."""


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Outcome
    reason: str = ""
    refused: Mapping[int, Refusal] = field(default_factory=dict)
    repeated: int = 0
    keyframe: bool = False
    retry_after_s: float | None = None
    sent_bytes: int = 0


class AddressError(ValueError):
    """The server's URL cannot be one."""


class _Bearer(requests.auth.AuthBase):
    """As an auth object and not as a header, because requests lets ~/.netrc replace a mere header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Door:
    """The ingest door of one server for one device. For one thread at a time; keeps its connection open."""

    def __init__(self, url: str, token: str, *, compress: bool = False) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise AddressError(f"{url!r} is not an address such as https://fleet.example.org")
        self.url = f"{url.rstrip('/')}/api/telemetry"
        self._compress = compress
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        # The environment (proxies, certificates) is read once, not for each of a thousand posts.
        found = self._session.merge_environment_settings(self.url, {}, None, None, None)
        self._session.proxies, self._session.verify = found["proxies"], found["verify"]
        self._session.trust_env = False

    def post(self, batch: Batch) -> Answer:
        raw = RawTelemetryBatch(
            records=[frame.body for frame in batch.frames],
            vin=batch.stream.vin,
            stream_id=batch.stream.stream_id,
        )
        body = raw.SerializeToString()
        headers = {"Content-Type": "application/x-protobuf", "Accept": "application/json"}
        if self._compress and len(body) >= GZIP_FROM_BYTES:
            body = gzip.compress(body, 6)
            headers["Content-Encoding"] = "gzip"
        try:
            response = self._session.post(
                self.url, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException as error:
            return Answer(Outcome.LATER, _network_reason(error), sent_bytes=len(body))
        return _read(response, len(batch.frames), len(body))

    def close(self) -> None:
        self._session.close()


def _read(response: requests.Response, count: int, sent_bytes: int) -> Answer:
    status = response.status_code
    content = _json(response)
    reason = _reason(response, content)
    if 200 <= status < 300:
        return _receipt(content, count, sent_bytes)
    if status == 400:
        return _all_bad(content, count, reason, sent_bytes)
    if status == 413:
        if count > 1:
            return Answer(Outcome.SPLIT, reason, sent_bytes=sent_bytes)
        return Answer(Outcome.TAKEN, reason, {0: Refusal("", reason)}, sent_bytes=sent_bytes)
    if status in _RETRY_SOON or status >= 500:
        wait = retry_after(response.headers.get("Retry-After"))
        return Answer(Outcome.LATER, reason, retry_after_s=wait, sent_bytes=sent_bytes)
    if 300 <= status < 400:
        reason = f"{reason}: moved to {response.headers.get('Location', 'nowhere')}"
    return Answer(Outcome.DENIED, reason, sent_bytes=sent_bytes)


def _receipt(content: dict[str, Any], count: int, sent_bytes: int) -> Answer:
    """Only the server's own words count as a receipt, not the log-in page of some hotel's network."""
    refused = _refused(content, count)
    if not isinstance(content.get("accepted"), int) or refused is None:
        return Answer(
            Outcome.LATER, "the answer is no receipt: is that the right address?", sent_bytes=sent_bytes
        )
    repeated = content.get("repeated")
    return Answer(
        Outcome.TAKEN,
        refused=refused,
        repeated=repeated if isinstance(repeated, int) else 0,
        keyframe=content.get("keyframe") is True,
        sent_bytes=sent_bytes,
    )


def _all_bad(content: dict[str, Any], count: int, reason: str, sent_bytes: int) -> Answer:
    refused = _refused(content, count)
    if refused is not None and len(refused) == count:
        keyframe = content.get("keyframe") is True
        return Answer(Outcome.TAKEN, reason, refused, keyframe=keyframe, sent_bytes=sent_bytes)
    if not content:
        return Answer(Outcome.DENIED, f"{reason}, without a reason: is that the right address?")
    if count > 1:
        return Answer(Outcome.SPLIT, reason, sent_bytes=sent_bytes)
    return Answer(Outcome.TAKEN, reason, {0: Refusal("", reason)}, sent_bytes=sent_bytes)


def _refused(content: dict[str, Any], count: int) -> dict[int, Refusal] | None:
    """Index to reason; None when the list makes no sense, so that nothing is deleted on its word."""
    refused: dict[int, Refusal] = {}
    entries = content.get("rejected") or []
    if not isinstance(entries, list):
        return None
    for entry in entries:
        index = entry.get("record") if isinstance(entry, dict) else None
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
            return None
        refused[index] = Refusal(str(entry.get("field", "")), str(entry.get("reason", "")))
    return refused


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _reason(response: requests.Response, content: dict[str, Any]) -> str:
    words = next(
        (str(content[key]) for key in ("reason", "detail", "error", "message") if content.get(key)), ""
    )
    head = f"{response.status_code} {response.reason or ''}".strip()
    return f"{head}: {words[:200]}" if words else head


def retry_after(header: str | None) -> float | None:
    """Seconds from now, from either form the header has."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


def _network_reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return "the server does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not trusted"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return f"the answer broke off ({type(error).__name__})"
