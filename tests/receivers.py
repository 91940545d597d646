"""Who listens at the other end: an HTTP receiver of webhooks and a mail server, on real sockets, that remember.

Each may stall, so that a worker can be killed while it waits for an answer.
"""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast


@dataclass
class Heard:
    """One request."""

    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class HttpReceiver:
    """Answers with `answers` in turn, then with the last of them for ever."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=lambda: [(200, {}, b"ok")])
    stalled: threading.Event = field(default_factory=threading.Event)
    """Set it and requests are read, remembered, and not answered."""

    @property
    def ids(self) -> list[str]:
        return [one.headers["webhook-id"] for one in self.heard]

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.heard.append(Heard(headers, body, time.time()))
        while self.stalled.is_set():
            time.sleep(0.02)
        number = min(len(self.heard), len(self.answers)) - 1
        status, more, text = self.answers[number]
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **more}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(text)


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with suppress(OSError):  # the sender may be gone
                receiver.respond(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield receiver
        receiver.stalled.clear()
        server.shutdown()
        thread.join()


@dataclass
class MailServer:
    """Enough SMTP for a sender. `replies`: what to say to RCPT or DATA's end instead of 250, each used once."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    replies: dict[str, list[str]] = field(default_factory=dict)
    stall_at: str = ""
    """EHLO, RCPT or END: after this the server stays silent; END: it has the mail, and does not say so."""
    stalling: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def reply(self, moment: str, usual: str) -> str:
        if self.stall_at == moment:
            self.stalling.set()
            while self.stall_at == moment:
                time.sleep(0.02)
        waiting = self.replies.get(moment, [])
        return waiting.pop(0) if waiting else usual


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = cast("_Server", self.server).mail
        with suppress(OSError):  # the sender may be gone
            self._converse(server)

    def _converse(self, server: MailServer) -> None:
        self._say("220 here")
        while line := self.rfile.readline():
            verb = line.decode("latin-1").split(maxsplit=1)[0].upper().strip() if line.strip() else ""
            if verb == "DATA":
                self._say("354 go on")
                server.mails.append(self._mail())
                self._say(server.reply("END", "250 kept"))
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say(server.reply(verb, "250 fine"))

    def _mail(self) -> EmailMessage:
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return message_from_bytes(b"".join(lines), policy=policy.default)

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    mail: MailServer


@contextmanager
def mail_server() -> Iterator[MailServer]:
    known = MailServer()
    with _Server(("127.0.0.1", 0), _Session) as server:
        server.mail = known
        known.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield known
        known.stall_at = ""
        server.shutdown()
        thread.join()
