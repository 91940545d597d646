"""A small HTTP client for an ASGI application, called from ordinary tests: no server, no sockets."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from asgiref.sync import async_to_sync

from config.asgi import application, routes

__all__ = ["Client", "Reply", "application", "routes"]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Client:
    """One caller: an address, and headers that go with every request."""

    def __init__(
        self, app: Any, headers: Mapping[str, str] | None = None, address: str = "192.0.2.1"
    ) -> None:
        self.app = app
        self.headers = {"host": "localhost", **(headers or {})}
        self.address = address

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        pieces: int = 1,
    ) -> Reply:
        """The body goes in `pieces`; a content-length goes along unless the headers bring one."""
        all_headers = {"content-length": str(len(body)), **self.headers, **(headers or {})}
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in all_headers.items()],
            "client": (self.address, 40_000),
            "server": ("localhost", 80),
        }
        size = max(1, -(-len(body) // pieces))
        parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        return async_to_sync(self._exchange)(scope, parts)

    async def _exchange(self, scope: dict[str, Any], parts: list[bytes]) -> Reply:
        incoming = [
            {"type": "http.request", "body": part, "more_body": number < len(parts)}
            for number, part in enumerate(parts, 1)
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            if incoming:
                return incoming.pop(0)
            return await asyncio.get_running_loop().create_future()  # the client waits for its answer

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))
