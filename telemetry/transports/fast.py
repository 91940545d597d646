"""The fast lane: POST /api/telemetry answered in front of Django, at a twentieth of the cost of a view.

It may only parse, authenticate, hand over and answer. Requests that arrive while a commit is under way share
the next one; each is answered after its own commit.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import close_old_connections

from devices.auth import token_in, tokens
from fleet.access import Principal
from telemetry import known
from telemetry.frames import Delivery, Receipt
from telemetry.ingest import UnavailableError, accept
from telemetry.transports import answer, limits
from telemetry.transports.body import RefusedError, inflate, read

log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATHS = frozenset({"/api/telemetry", "/api/telemetry/"})
_GROUP_LIMIT = 10_000


class GroupCommit:
    """One writer thread per process; everything that waits when it is free goes into one transaction."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Delivery, asyncio.Future[Receipt]]] = []
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self._running: asyncio.Task[None] | None = None

    async def commit(self, delivery: Delivery) -> Receipt:
        """The receipt, after the commit; raises UnavailableError."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._commit_while_waiting())
        return await future

    async def _commit_while_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group = self._next_group()
            try:
                receipts = await loop.run_in_executor(self._writer, _accept, [d for d, _ in group])
            except Exception as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), receipt in zip(group, receipts, strict=True):
                if not future.done():  # the client may have gone; its records are kept all the same
                    future.set_result(receipt)

    def _next_group(self) -> list[tuple[Delivery, asyncio.Future[Receipt]]]:
        rows, count = 0, 0
        for delivery, _ in self._waiting:
            rows += len(delivery.arrivals)
            count += 1
            if rows >= _GROUP_LIMIT:
                break
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group


def _accept(deliveries: list[Delivery]) -> list[Receipt]:
    try:
        return accept(deliveries)
    except UnavailableError:
        close_old_connections()
        raise


class FastLane:
    """ASGI middleware: takes its one path, passes everything else on."""

    def __init__(self, inner: App) -> None:
        self.inner = inner
        self.committer = GroupCommit()
        self.devices = limits.per_device()
        self.strangers = limits.per_address()
        self.lookups = ThreadPoolExecutor(2, thread_name_prefix="tokens")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PATHS or scope["method"] != "POST":
            await self.inner(scope, receive, send)
            return
        await _respond(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> answer.Answer:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            principal, refusal = await self._admit(scope, token_in(headers))
            if principal is None:
                return refusal
            body = await _body(receive, headers)
            delivery = read(body, headers.get("content-type", ""), principal, time.time())
            if not delivery.arrivals:
                return answer.nothing_good(delivery)
            return answer.received(delivery, await self.committer.commit(delivery))
        except RefusedError as error:
            return answer.refused(error)
        except UnavailableError:
            return answer.unavailable()
        except Exception:
            log.exception("telemetry request failed")
            return answer.failed()

    async def _admit(self, scope: Scope, text: str) -> tuple[Principal | None, answer.Answer]:
        address = scope["client"][0] if scope.get("client") else ""
        if not text:
            return None, answer.unknown_token(sent=False)
        entry = tokens.peek(text)
        principal = entry[1] if entry else None
        if entry is None or (principal and not known.is_loaded(principal.device_id or 0)):
            try:
                principal = await asyncio.get_running_loop().run_in_executor(self.lookups, _look_up, text)
            except Exception:
                return None, answer.unavailable()
        if principal is None:
            wait = self.strangers.wait(address)
            return None, answer.slow_down(wait) if wait else answer.unknown_token(sent=True)
        wait = self.devices.wait(principal.device_id or 0)
        return (None, answer.slow_down(wait)) if wait else (principal, (0, b"", {}))


def _look_up(text: str) -> Principal | None:
    """In a thread of its own: the database may be slow, the loop must not be."""
    try:
        principal = tokens.resolve(text)
        if principal and principal.device_id and not known.is_loaded(principal.device_id):
            known.load(principal.device_id)
        return principal
    finally:
        close_old_connections()


async def _body(receive: Receive, headers: dict[str, str]) -> bytes:
    limit = settings.TELEMETRY_BODY_LIMIT
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise RefusedError(413, f"{declared} bytes: at most {limit} in one request")
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the connection closed before the body was complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise RefusedError(413, f"more than {limit} bytes in one request")
        if not message.get("more_body"):
            break
    body = b"".join(parts)
    return inflate(body, limit) if headers.get("content-encoding") == "gzip" else body


async def _respond(send: Send, reply: answer.Answer) -> None:
    status, body, further = reply
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in further.items()]
    headers.append((b"x-content-type-options", b"nosniff"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
