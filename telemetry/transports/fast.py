"""The fast lane: POST /api/telemetry answered in front of Django, at a twentieth of the cost of a view.

It may only parse, authenticate, hand over and answer. Requests that arrive while a commit is under way share
the next one; each is answered after its own commit.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from devices.auth import looks_like_jwt, token_in, tokens
from fleet.access import Principal
from telemetry.frames import Delivery, Receipt
from telemetry.ingest import UnavailableError, accept
from telemetry.transports import answer, limits, origins
from telemetry.transports.body import RefusedError, decoded, read

log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATHS = frozenset({"/api/telemetry", "/api/telemetry/"})
_HEADERS = ((b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff"))
_GROUP_LIMIT = 256
Question = TypeVar("Question")
Reply = TypeVar("Reply")


class Grouped(Generic[Question, Reply]):
    """One thread that answers all questions waiting when it is free together.

    Commits share a transaction this way, token look-ups a query; nothing waits for a timer.
    """

    def __init__(self, answer_all: Callable[[list[Question]], list[Reply]], name: str) -> None:
        self._answer_all = answer_all
        self._waiting: deque[tuple[Question, asyncio.Future[Reply]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._running: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Reply:
        """The reply to this question; raises what its group raised."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run_while_waiting())
        return await future

    async def _run_while_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _GROUP_LIMIT))]
            try:
                replies = await loop.run_in_executor(self._thread, self._answer_all, [q for q, _ in group])
            except Exception as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), reply in zip(group, replies, strict=True):
                if not future.done():  # the client may have gone; what was committed stays
                    future.set_result(reply)


class FastLane:
    """ASGI middleware: takes its one path, passes everything else on."""

    def __init__(self, inner: App) -> None:
        self.inner = inner
        self.inbox = Grouped(_accept, "inbox")
        self.lookups = Grouped(_resolve, "tokens")
        self.devices = limits.per_device()
        self.strangers = limits.per_address()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PATHS or scope["method"] != "POST":
            await self.inner(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if looks_like_jwt(token_in(headers)):
            await self.inner(scope, receive, send)  # an account's access token is checked by Django
            return
        status, body, further = await self._answer(scope, receive, headers)
        cors = origins.headers_for(headers.get("origin", ""))
        await _respond(send, (status, body, {**further, **cors}))

    async def _answer(self, scope: Scope, receive: Receive, headers: dict[str, str]) -> answer.Answer:
        text, principal = token_in(headers), None
        try:
            principal, refusal = await self._admit(scope, text)
            if principal is None:
                return _noted(refusal, None, text)
            body = await _body(receive, headers)
            delivery = read(body, headers.get("content-type", ""), principal, time.time())
            if not delivery.arrivals:
                return _noted(answer.nothing_good(delivery), principal)
            return answer.received(delivery, await self.inbox.ask(delivery))
        except RefusedError as error:
            return _noted(answer.refused(error), principal)
        except UnavailableError:
            return answer.unavailable()
        except Exception:
            log.exception("telemetry request failed")
            return answer.failed()

    async def _admit(self, scope: Scope, text: str) -> tuple[Principal | None, answer.Answer]:
        if not text:
            return None, answer.unknown_token(sent=False)
        entry = tokens.peek(text)
        address = scope["client"][0] if scope.get("client") else ""
        if entry is None and (wait := self.strangers.empty_for(address)):
            return None, answer.slow_down(wait)  # guessing must not cost a look-up each
        try:
            principal = entry[1] if entry else await self.lookups.ask(text)
        except DatabaseError:
            return None, answer.unavailable()
        if principal is None:
            wait = self.strangers.wait(address)
            return None, answer.slow_down(wait) if wait else answer.unknown_token(sent=True)
        if not principal.may("telemetry"):
            return None, _noted(answer.out_of_scope(), principal)
        wait = self.devices.wait(principal.device_id or 0)
        return (None, answer.slow_down(wait)) if wait else (principal, (0, b"", {}))


def _accept(deliveries: list[Delivery]) -> list[Receipt]:
    try:
        return accept(deliveries)
    except UnavailableError:
        close_old_connections()
        raise


def _resolve(texts: list[str]) -> list[Principal | None]:
    try:
        found = tokens.resolve_all(texts)
        return [found[text] for text in texts]
    finally:
        close_old_connections()


def _noted(reply: answer.Answer, principal: Principal | None, text: str = "") -> answer.Answer:
    """For who waits for a device's first record; not on the loop, for the cache may be another machine."""
    asyncio.get_running_loop().run_in_executor(None, answer.note_refusal, reply, principal, text)
    return reply


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
    return decoded(b"".join(parts), headers.get("content-encoding", ""), limit)


async def _respond(send: Send, reply: answer.Answer) -> None:
    status, body, further = reply
    headers = [*_HEADERS, (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode(), value.encode()) for name, value in further.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
