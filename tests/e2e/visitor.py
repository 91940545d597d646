"""What the browser tests of the pages share: logging in, other people, the accessibility check."""

import re
import time
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.beside import Beside
from tests.servers import Site

VEHICLES = 6
"""Of the demo's twelve: enough to meet every state, and half of what their replay costs the machine."""
_sessions: dict[str, Any] = {}
"""Site address to the administrator's cookies: logging in costs a second, by design."""


def log_in(page: Page, site: Site, path: str = "/") -> None:
    """As the administrator whose password the first start printed; through the form once a site."""
    if site.url in _sessions:
        page.context.add_cookies(_sessions[site.url])
        page.goto(path)
        if "/login" not in page.url:
            expect(page.locator("#live")).to_have_attribute("data-state", "live")
            return
    shown = re.search(r"Log in as\s+(\S+)\s+One-time password\s+(\S+)", site.log)
    assert shown
    log_in_as(page, shown[1], shown[2], path)
    _sessions[site.url] = page.context.cookies()


def log_in_as(page: Page, email: str, password: str, path: str = "/") -> None:
    page.goto(f"/login?next={path}")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


def go_to(page: Page, title: str) -> None:
    """By the navigation at the head of the page, which may have it in its menu."""
    head = page.get_by_role("navigation", name="Main")
    link = head.get_by_role("link", name=title, exact=True)
    if not link.is_visible():
        head.get_by_text("More", exact=True).click()
    link.click()


def run_in(site: Site, code: str) -> None:
    """Some lines of Python beside the running site, on its data."""
    assert site.env
    Beside.of(site.url, site.env).run(code)


_AT_REST = """!document.getAnimations().some(
    (one) => one.playState === "running" && one.effect.getComputedTiming().endTime !== Infinity)"""


def serious_violations(page: Page) -> list[str]:
    until(page, _AT_REST)  # half-way between two colours, hardly any text can be read
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']} ({', '.join(str(node['target']) for node in rule['nodes'][:5])})"
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    ]


def overflows(page: Page) -> bool:
    """For good: charts follow a change of the window in their own time."""
    for _ in range(30):
        if not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
            return False
        page.wait_for_timeout(100)
    return True


def until(page: Page, condition: str, seconds: float = 15) -> None:
    """Waits for a JavaScript expression; `wait_for_function` polls by `eval`, which the site's policy forbids."""
    last = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < last, f"not within {seconds} s: {condition}"
        page.wait_for_timeout(50)
