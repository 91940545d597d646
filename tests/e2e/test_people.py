"""From an invitation to a log-in with a code, in a browser; and the pages of people at any width."""

import re
from base64 import b32decode
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django_otp.oath import totp
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Complaints
from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations
from tests.servers import Site

PASSWORD = "a fine long password"
GONE = """
from fleet.models import Invitation, User
User.objects.filter(email="eve@example.com").delete()
Invitation.objects.all().delete()
"""


@pytest.fixture
def members_page(site: Site, browser_page: Page) -> Iterator[Page]:
    log_in(browser_page, site)
    browser_page.goto("/fleets/demo/members")
    yield browser_page
    run_in(site, GONE)


@pytest.fixture
def eve(browser: Browser, site: Site) -> Iterator[Page]:
    """Somebody else's browser."""
    context = browser.new_context(base_url=site.url, viewport={"width": 390, "height": 800})
    context.set_default_timeout(15_000)
    page, complaints = context.new_page(), Complaints()
    complaints.watch(page)
    yield page
    context.close()
    assert not complaints.unexpected, "\n".join(complaints.unexpected)


def fits(page: Page) -> None:
    assert not serious_violations(page) and not overflows(page)


def invite(page: Page) -> str:
    """The link, which a site without a mail server shows."""
    page.get_by_label("E-mail", exact=True).fill("eve@example.com")
    page.get_by_label("Role", exact=True).last.select_option("driver")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("eve@example.com is invited as driver")).to_be_visible()
    fits(page)
    link = urlsplit(page.get_by_label("Link for eve@example.com").input_value())
    return f"{link.path}?{link.query}"  # cookies belong to one name of this machine


def join(page: Page, link: str) -> None:
    page.goto(link)
    fits(page)
    page.get_by_label("Your name").fill("Eve Stone")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("you are now driver of")).to_be_visible()


def set_up(page: Page) -> tuple[bytes, str]:
    """The app's key and a recovery code."""
    page.goto("/account")
    page.get_by_role("link", name="Set up").click()
    expect(page.locator("svg.qr")).to_be_visible()
    fits(page)
    page.get_by_text("Type the key instead").click()
    key = b32decode(page.locator(".key-text").inner_text().replace(" ", ""))
    page.get_by_label("Enter the code").fill(f"{totp(key):06d}")
    page.get_by_role("button", name="Switch it on").click()
    expect(page.locator(".codes li")).to_have_count(10)
    fits(page)
    return key, page.locator(".codes code").first.inner_text()


def log_out_and_in(page: Page, code: str) -> None:
    page.locator(".me summary").click()
    page.get_by_role("button", name="Log out").click()
    page.goto("/login?next=/account")
    page.get_by_label("E-mail").fill("eve@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Code from your authenticator app").fill(code)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Account")


@pytest.mark.timeout(240)
def test_invited_enrolled_logged_in_and_removed(
    members_page: Page, eve: Page, screenshot: Screenshot
) -> None:
    join(eve, invite(members_page))
    key, recovery = set_up(eve)
    log_out_and_in(eve, f"{totp(key, drift=1):06d}")
    log_out_and_in(eve, recovery)
    expect(eve.get_by_text("9 recovery codes left")).to_be_visible()
    eve.goto("/")  # a driver's page without commands, live
    expect(eve.locator("#live")).to_have_attribute("data-state", "live")

    page = members_page
    page.reload()
    page.get_by_label("Search by name or e-mail").fill("stone")
    expect(page.locator("#members tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=stone"))
    screenshot("members")
    page.get_by_role("link", name="Eve Stone").click()
    fits(page)
    page.get_by_label("Remove Eve Stone").check()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Eve Stone no longer belongs to")).to_be_visible()
    # Eve's map notices by itself: its socket was closed, came back, and its vehicles are gone.
    expect(eve.locator("#live")).to_have_attribute("data-state", "live")
    eve.reload()
    expect(eve.locator(".row")).to_have_count(0)


def test_narrow_screens(members_page: Page) -> None:
    members_page.set_viewport_size({"width": 360, "height": 740})
    for path in (
        "/fleets/demo/",
        "/fleets/demo/members",
        "/account",
        "/account/password",
        "/account/address",
    ):
        members_page.goto(path)
        assert not overflows(members_page)
        if path in {"/account", "/fleets/demo/"}:
            assert not serious_violations(members_page)
