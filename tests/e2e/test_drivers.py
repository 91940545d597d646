"""Drivers and their profiles in a browser: found, looked at, erased after a confirmation; at any width."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations
from tests.servers import Site

WRITE = """
from devices.models import Device
from devices.auth import principal_of_device
from fleet.models import Driver
from profiles.versions import Condition, Upload, store
cars = [principal_of_device(d) for d in Device.objects.select_related("vehicle").order_by("id")[:3]]
Driver.objects.all().delete()
driver = Driver.objects.known(cars[0].fleet_id, "driver_123")
Driver.objects.filter(pk=driver.pk).update(name="Ada Berg", labels=["night"])
for version, car in enumerate(cars, 1):
    store(driver, Upload("gAAAAAB" + "x" * 3000 * version, {}, version), Condition(), car)
"""


@pytest.fixture
def drivers_page(site: Site, browser_page: Page) -> Page:
    log_in(browser_page, site)
    run_in(site, WRITE)
    browser_page.goto("/drivers/")
    return browser_page


def test_from_the_list_to_an_erasure(drivers_page: Page, screenshot: Screenshot) -> None:
    page = drivers_page
    page.get_by_label("Search by name or id").fill("nobody")
    expect(page.get_by_text("No driver matches")).to_be_visible()
    page.get_by_label("Search by name or id").fill("ada")
    expect(page.get_by_role("link", name="Ada Berg")).to_be_visible()
    assert not serious_violations(page)
    screenshot("drivers")
    page.get_by_role("link", name="Ada Berg").click()
    expect(page.get_by_role("row")).to_have_count(8)  # two tables of three, with their heads
    assert not serious_violations(page)
    screenshot("driver")
    page.get_by_role("button", name="Restore version 1").click()
    expect(page.get_by_text("Version 1 is current again, as version 4.")).to_be_visible()
    page.get_by_role("button", name="Erase profile").click()
    assert not serious_violations(page)
    screenshot("driver-erase")
    page.get_by_label("Type driver_123 to confirm").fill("driver_123")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("Erased: 4 versions")).to_be_visible()
    expect(page.get_by_text("does not know of the erasure yet")).to_have_count(3)
    assert not serious_violations(page)
    screenshot("driver-erased")
    page.get_by_role("button", name="Allow a new profile").click()
    expect(page.get_by_text("No profile yet")).to_be_visible()


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_screens(drivers_page: Page, width: int) -> None:
    drivers_page.set_viewport_size({"width": width, "height": 740})
    assert not overflows(drivers_page)
    drivers_page.get_by_role("link", name="Ada Berg").click()
    expect(drivers_page.get_by_role("heading", level=1)).to_have_text("Ada Berg")
    assert not overflows(drivers_page)
