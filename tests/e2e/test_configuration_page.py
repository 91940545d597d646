"""Configuring devices in a browser: typed, refused with a place, reviewed, applied, drifted, restored."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Complaints
from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import VEHICLES, log_in, overflows, run_in, serious_violations
from tests.servers import Site

URL = "/fleets/demo/configuration"
CLEAR = """
from devices.models import Command, ConfigContent, ConfigLayer, DeviceConfig, DeviceConfigVersion, DeviceGroup
for model in (ConfigLayer, DeviceConfigVersion, DeviceConfig, DeviceGroup, ConfigContent):
    model.objects.all().delete()
Command.objects.filter(action="update_config").delete()
"""
REFUSE = """
from django.utils import timezone
from devices import drift
from devices.models import Device
device = Device.objects.select_related("vehicle__fleet").get(vehicle__slug="berlin-03")
drift.heard(device, drift.ConfigReport(device.config.version, timezone.now(), "No sensor at this rate"))
"""
MEANWHILE = """
from devices.configuration import Edit, Owner, write
from fleet.audit import Actor
from fleet.models import Fleet
owner = Owner(Fleet.objects.get(slug="demo"))
write(Actor("Ben"), owner, Edit({"log_level": "debug"}, "Looking for a fault", None, True))
"""


@pytest.fixture
def page(site: Site, browser_page: Page, complaints: Complaints) -> Iterator[Page]:
    complaints.allowed += [r"status of 400 .*/edit", r"status of 409 .*/edit"]
    log_in(browser_page, site)
    browser_page.goto(URL)
    yield browser_page
    run_in(site, CLEAR)


def test_from_the_editor_to_a_device_that_refuses(page: Page, site: Site, screenshot: Screenshot) -> None:
    page.get_by_role("button", name="Edit for the fleet").click()
    page.get_by_label("JSON object").fill('{"telemetry": {"send_interval_s": 0}}')
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "/telemetry/send_interval_s: Must be between 1 and 86400 s."
    )
    assert serious_violations(page) == []
    page.get_by_label("JSON object").fill('{"telemetry": {"send_interval_s": 10}, "log_level": "info"}')
    page.get_by_label("Why").fill("Winter timetable")
    screenshot("configuration-editor")
    page.get_by_role("button", name="Review").click()
    expect(page.locator("#affected")).to_contain_text(f"{VEHICLES} devices")
    expect(page.locator(".differs")).to_contain_text("/telemetry/send_interval_s")
    assert serious_violations(page) == []
    run_in(site, MEANWHILE)
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("alert")).to_contain_text("Ben made version 1")
    expect(page.locator(".diff")).to_contain_text('+  "log_level": "info"')
    assert serious_violations(page) == []
    screenshot("configuration-conflict")
    page.get_by_role("button", name="Apply over version 1").click()
    expect(page.locator(".messages")).to_contain_text(f"Version 2 is in force. {VEHICLES} devices")
    run_in(site, REFUSE)
    page.get_by_role("radio", name="Refused").check()
    expect(page.locator("#config-devices tbody tr")).to_have_count(1)
    expect(page.locator("#config-devices")).to_contain_text("No sensor at this rate")
    assert serious_violations(page) == []
    page.locator("#config-devices tbody a").first.click()
    expect(page.get_by_role("heading", name="What it runs")).to_be_visible()
    screenshot("configuration-device")
    assert serious_violations(page) == []


def test_groups_and_history_without_scripts(
    page: Page, site: Site, browser: Browser, screenshot: Screenshot
) -> None:
    context = browser.new_context(
        base_url=site.url, java_script_enabled=False, storage_state=page.context.storage_state(),
        viewport={"width": 390, "height": 844},
    )  # fmt: skip
    phone = context.new_page()
    phone.goto(URL)
    phone.get_by_label("New group").fill("Night shift")
    phone.get_by_role("button", name="Make").click()
    phone.get_by_role("checkbox").first.check()
    phone.get_by_role("checkbox").nth(1).check()
    phone.get_by_label("Move into").select_option("Night shift")
    phone.get_by_role("button", name="The chosen ones").click()
    expect(phone.locator(".messages")).to_contain_text("2 devices moved.")
    for interval in ("60", "90"):
        phone.goto(f"{URL}/groups/night-shift/edit")
        phone.get_by_label("JSON object").fill('{"telemetry": {"send_interval_s": ' + interval + "}}")
        phone.get_by_role("button", name="Review").click()
        expect(phone.locator("#affected")).to_contain_text("2 devices")
        phone.get_by_role("button", name="Apply").click()
    phone.get_by_role("button", name="History").click()
    expect(phone.locator(".differs")).to_contain_text("90")
    phone.screenshot(path="test-results/configuration-history-phone.png", full_page=True)
    phone.get_by_role("button", name="Restore version 1").click()
    expect(phone.locator(".messages")).to_contain_text("Version 3 is in force. 2 devices")
    phone.goto(URL)
    phone.screenshot(path="test-results/configuration-phone.png", full_page=True)
    context.close()
    page.goto(URL)
    expect(page.locator("#config-devices tbody tr")).to_have_count(VEHICLES)
    page.set_viewport_size({"width": 390, "height": 844})
    assert not overflows(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    screenshot("configuration")
