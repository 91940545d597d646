"""One POST to an address that somebody typed in: only to places that may be reached, within bounds of time and size.

The name is resolved here, every address behind it is judged, and the connection goes to one that was judged: what the
name means a moment later does not matter. Redirects are not followed, proxies of the environment are not used.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils import timezone

TOTAL_S = 10.0
CONNECT_S = 5.0
ANSWER_LIMIT = 16_384
EXCERPT = 500
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class RefusedError(ValueError):
    """This address may not be called. The text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` None: nothing did, and `error` says why."""

    status: int | None
    latency_ms: int
    excerpt: str = ""
    error: str = ""
    retry_after_s: float | None = None

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def check(url: str) -> SplitResult:
    """What can be known without asking for the name's addresses. Raises RefusedError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise RefusedError("This is not an address.") from None
    if not url.isascii() or any(letter <= " " for letter in url):
        raise RefusedError("Write it in ASCII without spaces; other names as xn--…")
    if parts.scheme not in {"https", "http"} or not host or port == 0:
        raise RefusedError("Write the whole address: https://host/path.")
    if parts.username is not None or parts.password is not None:
        raise RefusedError("Leave out user and password: messages are signed instead.")
    if settings.WEBHOOK_PRIVATE_NETWORKS:
        return parts
    if parts.scheme != "https":
        raise RefusedError("Only https:// is allowed.")
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
            raise RefusedError(f"{host} is a name of a private network.") from None
    else:
        _judge(literal)
    return parts


def post(url: str, headers: dict[str, str], body: bytes) -> Answer:
    """Never raises: whatever goes wrong is an answer too."""
    began = time.monotonic()
    try:
        parts = check(url)
        return _exchange(parts, _addresses(parts), headers, body)
    except RefusedError as error:
        return Answer(None, _ms(began), error=str(error))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(None, _ms(began), error=_reason(error))


def _addresses(parts: SplitResult) -> list[tuple[str, int]]:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise RefusedError(f"The name {parts.hostname} has no address ({error}).") from None
    addresses = list(dict.fromkeys((str(entry[4][0]), port) for entry in found))
    if not settings.WEBHOOK_PRIVATE_NETWORKS:
        for address, _ in addresses:
            _judge(ipaddress.ip_address(address.partition("%")[0]))
    return addresses


def _judge(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Raises RefusedError for anything that is not a public address, also inside an IPv6 one."""
    inner: ipaddress.IPv4Address | None = None
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    judged = inner or address
    if not judged.is_global or judged.is_multicast:
        raise RefusedError(f"{address} is not a public address.")


def _exchange(
    parts: SplitResult, addresses: list[tuple[str, int]], headers: dict[str, str], body: bytes
) -> Answer:
    began = time.monotonic()
    line = _Line(_connected(addresses))
    try:
        connection = line.secured(parts)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, headers)
        reply = connection.getresponse()
        text = reply.read(ANSWER_LIMIT)
    except (OSError, http.client.HTTPException):
        if not line.over:
            raise
    finally:
        line.close()
    if line.over:  # what was read until then may look like an answer, and is none
        return Answer(None, _ms(began), error=f"no whole answer within {TOTAL_S:g} s")
    good = 200 <= reply.status < 300
    error = "" if good else f"answered {reply.status} {reply.reason}".strip()[:200]
    wait_s = _retry_after(reply.headers.get("Retry-After"))
    return Answer(reply.status, _ms(began), _shown(text), error, wait_s)


class _Line:
    """A connected socket that is cut when its time is over: a socket's own time-out counts from its last byte only."""

    def __init__(self, raw: socket.socket) -> None:
        self.socket = raw
        self.over = False
        self.watchdog = threading.Timer(TOTAL_S, self._cut)
        self.watchdog.daemon = True
        self.watchdog.start()

    def secured(self, parts: SplitResult) -> http.client.HTTPConnection:
        """HTTP over this socket; with TLS the certificate must be the name's."""
        assert parts.hostname
        self.socket.settimeout(TOTAL_S)
        if parts.scheme == "http":
            connection = http.client.HTTPConnection(parts.hostname, parts.port)
        else:
            context = ssl.create_default_context()
            name = parts.hostname
            secure = context.wrap_socket(self.socket, server_hostname=name, do_handshake_on_connect=False)
            self.socket = secure
            secure.do_handshake()
            connection = http.client.HTTPSConnection(name, parts.port, context=context)
        connection.sock = self.socket
        return connection

    def _cut(self) -> None:
        self.over = True
        try:
            # A copy of the number: what the other thread is reading with stays as it is.
            with socket.fromfd(self.socket.fileno(), self.socket.family, socket.SOCK_STREAM) as copy:
                copy.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self.watchdog.cancel()
        self.socket.close()


def _connected(addresses: list[tuple[str, int]]) -> socket.socket:
    problem: OSError = OSError("no address")
    for address in addresses[:3]:
        try:
            return socket.create_connection(address, timeout=CONNECT_S)
        except OSError as error:
            problem = error
    raise problem


def _retry_after(value: str | None) -> float | None:
    """Seconds, or a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value)) if value.strip().isdigit() else _until(value)
    except (ValueError, TypeError, OverflowError):
        return None


def _until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return max(0.0, (moment - timezone.now()).total_seconds())


def _shown(text: bytes) -> str:
    """The beginning of an answer, as people and every database can take it."""
    readable = "".join(
        letter for letter in text.decode("utf-8", "replace") if letter.isprintable() or letter == "\n"
    )
    return readable[:EXCERPT]


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLCertVerificationError():
            return f"certificate: {error.verify_message}"[:200]
        case http.client.RemoteDisconnected():
            return "the connection was closed without an answer"
        case OSError():
            return (error.strerror or str(error) or type(error).__name__)[:200]
    return f"not an HTTP answer ({type(error).__name__})"


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
