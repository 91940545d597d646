"""The site as `make run` starts it: how to log in, and what shows without any page of our own."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.servers import Site

Screenshot = Callable[[str], Path]


def test_the_start_says_where_and_how_to_log_in(site: Site) -> None:
    assert f"http://localhost:{site.port}/" in site.log
    assert re.search(r"One-time password\s+\S{8,}", site.log)


def test_the_api_documentation_needs_no_other_machine(browser_page: Page, screenshot: Screenshot) -> None:
    browser_page.goto("/api/docs")
    expect(browser_page.get_by_text("/api/telemetry").first).to_be_visible()
    screenshot("api-docs")


def test_the_administrator_logs_into_the_admin(
    site: Site, browser_page: Page, screenshot: Screenshot
) -> None:
    shown = re.search(r"Log in as\s+(\S+)\s+One-time password\s+(\S+)", site.log)
    assert shown
    name, password = shown.groups()
    browser_page.goto("/admin/")
    browser_page.locator("input[name=username]").fill(name)
    browser_page.locator("input[name=password]").fill(password)
    browser_page.locator("[type=submit]").first.click()
    expect(browser_page.get_by_text("Site administration").first).to_be_visible()
    screenshot("admin")
