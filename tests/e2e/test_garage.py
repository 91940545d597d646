"""From nothing to a first record, a token that is revoked, a rollout that is paused: as a manager does it."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import go_to, log_in, overflows, run_in, serious_violations
from tests.servers import Site

RELEASE = """
from devices.models import Device, ModelRelease
from devices import rollouts, steering
from fleet.audit import SYSTEM
from fleet.models import Fleet
release = ModelRelease.objects.create(
    fleet=Fleet.objects.get(slug="demo"), name="detector", version="2.1.0", canonical="2.1", sha256="00" * 32,
    size_bytes=5, stored_as="models/none", key_id="0" * 16, notes="Sees cyclists earlier",
)
steering.change(SYSTEM, release, {"percent": 60.0, "steps": [100.0]})
for device, state in zip(Device.objects.order_by("id")[:3], ("healthy", "failed", "downloaded")):
    rollouts.report(device.pk, release, state, "self-check" if state == "failed" else "")
"""
CLEAN = """
from devices.models import ModelRelease
from fleet.models import Vehicle
ModelRelease.objects.all().delete()
Vehicle.objects.filter(slug="garage-van").delete()
"""


@pytest.fixture
def garage(site: Site, browser_page: Page) -> Iterator[Page]:
    log_in(browser_page, site)
    yield browser_page
    run_in(site, CLEAN)


def post(site: Site, token: str, **body: object) -> int:
    content = json.dumps({"timestamp": time.time(), "speed": 0, **body}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{site.url}/api/telemetry", content, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_from_nothing_to_the_first_record(garage: Page, site: Site, screenshot: Screenshot) -> None:
    page = garage
    go_to(page, "Devices")
    page.get_by_role("button", name="Add a device").click()
    assert not serious_violations(page)
    page.get_by_label("Name", exact=True).fill("Garage van")
    page.get_by_label("VIN").fill("GARAGE1")
    page.get_by_role("button", name="Add and make a token").click()
    waiting = page.locator("#arriving")
    expect(waiting).to_contain_text("Its token has not been used yet")
    token = page.locator("#secret").inner_text()
    assert token in page.locator("#curl").inner_text() and site.url in page.locator("#curl").inner_text()
    assert not serious_violations(page)
    screenshot("device-waiting")
    assert post(site, token, vin="SOMEBODY") == 404
    expect(waiting).to_contain_text("SOMEBODY")
    screenshot("device-refused")
    assert post(site, token[:-2]) == 401
    expect(waiting).to_contain_text("A wrong token")
    assert post(site, token) == 200
    expect(waiting).to_contain_text("First record received at")
    assert not serious_violations(page)
    screenshot("device-arrived")
    page.get_by_role("button", name="Watch Garage van live").click()
    expect(page.get_by_role("heading", name="Garage van")).to_be_visible()

    page.goto("/devices?q=garage")
    page.get_by_role("link", name="Garage van logger").click()
    assert token not in page.content() and not serious_violations(page)
    page.get_by_label("Revoke onboarding …").click()
    page.get_by_role("button", name="Revoke onboarding now").click()
    expect(page.get_by_text("refused everywhere within seconds")).to_be_visible()
    deadline = time.monotonic() + 10  # TOKEN_CACHE_S and a little
    while post(site, token) != 401:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    page.set_viewport_size({"width": 390, "height": 800})
    assert not overflows(page)
    screenshot("device-narrow")


def test_a_rollout_is_paused(garage: Page, site: Site, screenshot: Screenshot) -> None:
    run_in(site, RELEASE)
    page = garage
    go_to(page, "Releases")
    expect(page.get_by_role("row")).to_have_count(2)
    assert not serious_violations(page)
    page.get_by_role("link", name="detector 2.1.0").click()
    expect(page.locator("#progress")).to_contain_text("self-check")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".careful")).to_contain_text("by hand")
    expect(page.locator("#progress")).to_contain_text("no: the rollout is paused")
    assert not serious_violations(page)
    screenshot("release-paused")
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("Widen …").click()
    page.get_by_role("button", name="Widen now").click()
    expect(page.get_by_text("Widened to 100 %.")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 800})
    assert not overflows(page)
    screenshot("release-narrow")


def test_the_list_of_commands_refreshes_by_itself(garage: Page, site: Site) -> None:
    """By a push: the list asks only every twenty seconds of its own accord."""
    page = garage
    run_in(site, "from devices.models import Command; Command.objects.all().delete()")
    page.goto("/commands")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(page.get_by_text("No commands yet")).to_be_visible()
    cookies = {cookie.get("name"): cookie.get("value") for cookie in page.context.cookies()}
    sent = page.request.post(
        "/api/v1/vehicles/berlin-04/commands",
        data={"action": "honk"},
        headers={"X-CSRFToken": str(cookies["csrftoken"]), "Referer": site.url},
    )
    assert sent.status == 201
    expect(page.locator(".order .outcome")).to_have_text(re.compile("Queued"))
    run_in(site, "from devices.models import Command; Command.objects.all().delete()")
