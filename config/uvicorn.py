"""uvicorn as cars and browsers at scale meet it: `python -m config.uvicorn --port 8001 --workers 2`.

uvicorn hands the head of an answer and its body to the event loop one by one, and uvloop sends each at once: two
system calls for the server and two for the client to read. For an answer as short as ours that is a tenth of the
whole request; here both leave together.
"""

import argparse
import asyncio
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_AT_ONCE = 16_384
"""What is this long is not worth keeping back, and must not pile up."""


class _Joining:
    """A transport whose short writes of one turn of the loop leave as one."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.plain = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._parts and len(data) < _AT_ONCE:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        if len(data) >= _AT_ONCE or len(self._parts) > 1:
            self.flush()

    def flush(self) -> None:
        if self._parts:
            parts, self._parts = self._parts, []
            self.plain.write(b"".join(parts))

    def close(self) -> None:
        self.flush()
        self.plain.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


class JoiningProtocol(HttpToolsProtocol):
    """HTTP/1.1 with one write per short answer; WebSockets get the transport as it is."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, _Joining(transport, self.loop)))

    def handle_websocket_upgrade(self) -> None:
        joining = cast(_Joining, self.transport)
        joining.flush()
        self.transport = joining.plain
        super().handle_websocket_upgrade()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m config.uvicorn", description="Serve under uvicorn.")
    parser.add_argument("--app", default="config.asgi:application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--log-level", default="info")
    options = parser.parse_args()
    uvicorn.run(
        options.app,
        host=options.host,
        port=options.port,
        workers=options.workers,
        log_level=options.log_level,
        http=JoiningProtocol,
        lifespan="off",
        access_log=False,
        # A compressor costs 50 KB a socket; positions are short already.
        ws_per_message_deflate=False,
    )


if __name__ == "__main__":
    main()
