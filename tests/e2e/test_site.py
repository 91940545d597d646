"""The site as `make run` starts it: how to log in, and what shows without any page of our own."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.visitor import run_in
from tests.servers import Site

Screenshot = Callable[[str], Path]


def test_the_start_says_where_and_how_to_log_in(site: Site) -> None:
    assert f"http://localhost:{site.port}/" in site.log
    assert re.search(r"One-time password\s+\S{8,}", site.log)


def test_the_api_documentation_needs_no_other_machine(browser_page: Page, screenshot: Screenshot) -> None:
    browser_page.goto("/api/docs")
    expect(browser_page.get_by_text("/api/telemetry").first).to_be_visible()
    screenshot("api-docs")


def test_the_api_documentation_tries_requests_out(
    site: Site, browser_page: Page, screenshot: Screenshot
) -> None:
    run_in(site, "from fleet.models import *; f = Fleet.objects.create(slug='docs', name='Docs'); "
           "u = User.objects.create_user('docs@example.com', 'only for the docs'); "
           "Membership.objects.create(fleet=f, user=u, role='viewer')")  # fmt: skip
    browser_page.goto("/api/docs")
    login = {"email": "docs@example.com", "password": "only for the docs"}
    answer = browser_page.request.post(f"{site.url}/api/v1/auth/login", data=login)
    browser_page.locator(".btn.authorize").first.click()
    scheme = browser_page.locator(".auth-container", has_text="accessToken")
    scheme.locator("input").first.fill(answer.json()["access"])
    scheme.get_by_role("button", name="Apply credentials").click()
    browser_page.locator(".modal-ux .btn-done").first.click()
    # One near the top: those further down are drawn when they are scrolled to.
    operation = browser_page.locator("#operations-alerts-v1_alerts_list")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    screenshot("api-docs-tried")
    run_in(site, "from fleet.models import *; User.objects.filter(email='docs@example.com').delete(); "
           "Fleet.objects.filter(slug='docs').delete()")  # fmt: skip


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
