"""What the browser tests of the pages share: logging in, other people, the accessibility check."""

import re
import subprocess

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.environment import PYTHON, ROOT
from tests.servers import Site


def log_in(page: Page, site: Site, path: str = "/") -> None:
    """As the administrator whose password the first start printed."""
    shown = re.search(r"Log in as\s+(\S+)\s+One-time password\s+(\S+)", site.log)
    assert shown
    log_in_as(page, shown[1], shown[2], path)


def log_in_as(page: Page, email: str, password: str, path: str = "/") -> None:
    page.goto(f"/login?next={path}")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


def run_in(site: Site, code: str) -> None:
    """Some lines of Python beside the running site, on its data."""
    command = [PYTHON, "manage.py", "shell", "-c", code]
    subprocess.run(command, cwd=ROOT, env=site.env, check=True, capture_output=True)


def serious_violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']} ({', '.join(str(node['target']) for node in rule['nodes'][:5])})"
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    ]


def overflows(page: Page) -> bool:
    wide: bool = page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
    return wide
