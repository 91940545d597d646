"""The server for cars and sockets: answers whole and in order, however they are cut into writes."""

import asyncio
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
import uvicorn
from websockets.sync.client import connect

from config.uvicorn import JoiningProtocol
from tests.servers import free_port

LONG = 300_000


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"] * 2})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/slow":
        for part in (b"a", b"b" * LONG, b"c"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(0.05)
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, http=JoiningProtocol, lifespan="off", log_level="critical")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        pass
    yield port
    server.should_exit = True
    thread.join(10)


def test_short_answers_leave_in_one_piece(port: int) -> None:
    with_socket = HTTPConnection("127.0.0.1", port)
    with_socket.connect()
    for _ in range(20):
        with_socket.sock.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        first = with_socket.sock.recv(4096)
        assert first.startswith(b"HTTP/1.1 200") and first.endswith(b"\r\n0\r\n\r\n"), first
    with_socket.close()


def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port)
    connection.connect()
    connection.sock.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(30)))
    got = b""
    while got.count(b"0\r\n\r\n") < 30:
        got += connection.sock.recv(65536)
    bodies = [part.partition(b"\r\n\r\n")[2].split(b"\r\n")[1] for part in got.split(b"HTTP/1.1 200")[1:]]
    assert bodies == [b"/%d" % n for n in range(30)]
    connection.close()


def test_an_answer_in_parts_is_not_kept_back(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/slow")
    response = connection.getresponse()
    assert response.read(1) == b"a"
    assert response.read() == b"b" * LONG + b"c/slow"
    connection.close()


def test_the_last_answer_of_a_connection_is_sent_before_it_closes(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/last", headers={"Connection": "close"})
    assert connection.getresponse().read() == b"/last"
    connection.close()


def test_web_sockets(port: int) -> None:
    with connect(f"ws://127.0.0.1:{port}/") as socket:
        for text in ("hello", "x" * LONG):
            socket.send(text)
            assert socket.recv() == text * 2
