"""The running product and a browser that tolerates no console error and no request leaving the machine."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests import migrated
from tests.e2e.visitor import VEHICLES
from tests.environment import ROOT
from tests.servers import Site, chromium

expect.set_options(timeout=20_000)  # a machine with much to do is slow, not wrong
LOCAL = {"127.0.0.1", "localhost"}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


@dataclass
class Complaints:
    """What a page must not do. A test that provokes an error on purpose lists its pattern in `allowed`."""

    seen: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.seen.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._check(request.url))
        page.on("websocket", lambda socket: self._check(socket.url))

    def _listen(self, line: ConsoleMessage) -> None:
        if line.type == "error":
            self.seen.append(f"console: {line.text} ({line.location.get('url', '')})")

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname not in LOCAL:
            self.seen.append(f"leaves the machine: {url}")

    @property
    def unexpected(self) -> list[str]:
        return [line for line in self.seen if not any(re.search(pattern, line) for pattern in self.allowed)]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`manage.py serve` on a free port with a fresh data folder: `.url`, `.log`, `.env`. Must end well."""
    folder = tmp_path_factory.mktemp("site")
    migrated.sqlite(folder / "data")
    running = Site(folder, REPLAY=str(VEHICLES)).start()
    yield running
    code = running.stop()
    assert code == 0, f"the site did not end cleanly ({code}):\n{running.log[-4000:]}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    """A visitor with no cookies, on a laptop's screen."""
    context = browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def browser_page(context: BrowserContext, complaints: Complaints) -> Iterator[Page]:
    """A page; when the test ends, a console error or a request to another machine fails it."""
    page = context.new_page()
    complaints.watch(page)
    yield page
    assert not complaints.unexpected, "\n".join(complaints.unexpected)


@pytest.fixture
def screenshot(browser_page: Page) -> Callable[[str], Path]:
    """Save what the page shows as test-results/NAME.png."""

    def save(name: str) -> Path:
        path = ROOT / "test-results" / f"{name}.png"
        browser_page.screenshot(path=path, full_page=True)
        return path

    return save
