"""Sending a command from the vehicle page and watching what becomes of it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.visitor import go_to, log_in, log_in_as, overflows, run_in, serious_violations
from tests.environment import ROOT
from tests.servers import Site

Screenshot = Callable[[str], Path]
CAR = "berlin-03"
URL = f"/vehicles/demo/{CAR}/"
TAKE = f"""
from devices import commands
from devices.models import Device
device = Device.objects.filter(vehicle__slug="{CAR}", active=True).latest("id")
taken = commands.take(device.pk, "car_data")
assert taken, "nothing was queued"
"""
TOLD = """
from devices import commands
from devices.models import Command
command = Command.objects.latest("id")
commands.acknowledge(command.device_id, command.public_id, False, "Heater is blocked by low charge")
"""
YARD = """
from devices.provision import VehicleFacts, provision
from fleet.models import Fleet, Membership, Role, User
provision("demo", "yard-1", VehicleFacts(name="Yard 1"), "test")
ben = User.objects.create_user("ben@example.com", "a long secret 1")
Membership.objects.create(user=ben, fleet=Fleet.objects.get(slug="demo"), role=Role.MANAGER)
"""
NO_YARD = """
from fleet.models import User, Vehicle
Vehicle.objects.get(slug="yard-1").delete()
User.objects.get(email="ben@example.com").delete()
"""
DRIVES = """
from django.utils import timezone
from fleet.models import Vehicle, VehicleState
now = timezone.now()
VehicleState.objects.update_or_create(
    vehicle=Vehicle.objects.get(slug="yard-1"),
    defaults=dict(time=now, received_at=now, speed_kmh={speed}, values=dict(speed={speed})),
)
"""


@pytest.fixture
def panel(site: Site, browser_page: Page) -> Page:
    run_in(site, "from devices.models import Command; Command.objects.all().delete()")
    log_in(browser_page, site, URL)
    expect(browser_page.locator("#command-list")).to_contain_text("No command has been sent")
    return browser_page


@pytest.fixture
def yard(site: Site) -> Iterator[None]:
    """A vehicle that nobody replays, so that it stands and moves when the test says so; gone before the next test."""
    run_in(site, YARD)
    yield
    run_in(site, NO_YARD)


def test_from_the_form_to_the_answer(panel: Page, site: Site, screenshot: Screenshot) -> None:
    temperature = panel.get_by_label("Target temperature")
    temperature.fill("99")
    panel.get_by_role("button", name="Send").click()
    expect(panel.locator("#commands .wrong")).to_have_text("Must be between 10 and 30 °C.")
    expect(temperature).to_have_value("99")
    assert serious_violations(panel) == []
    temperature.fill("22.5")
    panel.get_by_role("button", name="Send").click()
    order = panel.locator(".order").first
    expect(order).to_contain_text("Start heating")
    expect(order.locator(".outcome")).to_have_text("Queued")
    expect(order).to_contain_text("22.5")
    run_in(site, TAKE)
    panel.reload()  # below, the page finds out by itself
    expect(order.locator(".outcome")).to_have_text("Delivered")
    expect(order).to_contain_text("answer to car data")
    run_in(site, TOLD)
    expect(order.locator(".outcome")).to_have_text("Failed", timeout=20_000)
    expect(order).to_contain_text("low charge")
    screenshot("commands-failed")


def test_an_action_of_the_devices_own_and_cancelling_it(panel: Page) -> None:
    panel.get_by_label("Send", exact=True).select_option("custom")
    panel.get_by_label("Action").fill("Set Fan")
    panel.get_by_label("Parameters").fill("[1")
    panel.get_by_role("button", name="Send").click()
    expect(panel.locator("#own-action-wrong")).to_be_visible()
    panel.get_by_label("Action").fill("set_fan")
    panel.get_by_role("button", name="Send").click()
    expect(panel.locator("#own-parameters-wrong")).to_have_text("Must be an object.")
    panel.get_by_label("Parameters").fill('{"fan": "rear"}')
    panel.get_by_role("button", name="Send").click()
    panel.get_by_role("button", name="Cancel set_fan").click()
    expect(panel.locator(".order .outcome").first).to_have_text("Cancelled")


def test_a_second_person_approves_when_it_stands(
    yard: None, panel: Page, site: Site, browser: Browser, screenshot: Screenshot
) -> None:
    panel.goto("/vehicles/demo/yard-1/")
    panel.get_by_label("Send", exact=True).select_option("immobilise")
    expect(panel.locator(".careful")).to_be_visible()
    panel.get_by_role("button", name="Ask for approval").click()
    order = panel.locator(".order").first
    expect(order.locator(".outcome")).to_have_text("Awaits approval")
    expect(order.get_by_role("button", name="Approve")).to_have_count(0)
    assert serious_violations(panel) == []
    context = browser.new_context(base_url=site.url, viewport={"width": 390, "height": 844})
    second = context.new_page()
    log_in_as(second, "ben@example.com", "a long secret 1", "/vehicles/demo/yard-1/")
    run_in(site, DRIVES.format(speed=50))
    second.get_by_role("button", name="Approve Immobilise").click()
    expect(second.locator("#command-list .wrong")).to_have_text(re.compile(r"The vehicle moves \(50 km/h\)"))
    second.screenshot(path=ROOT / "test-results" / "commands-phone.png", full_page=True)
    run_in(site, DRIVES.format(speed=0))
    second.get_by_role("button", name="Approve Immobilise").click()
    expect(second.locator(".order .outcome").first).to_have_text("Queued")
    assert not overflows(second)
    context.close()
    expect(order.locator(".outcome")).to_have_text("Queued", timeout=20_000)
    screenshot("commands-vehicle")


def test_without_scripts(panel: Page, site: Site, browser: Browser) -> None:
    context = browser.new_context(
        base_url=site.url, java_script_enabled=False, storage_state=panel.context.storage_state()
    )
    page = context.new_page()
    page.goto(URL)
    page.get_by_role("link", name="Send and watch commands").click()
    page.get_by_label("Send", exact=True).select_option("honk")
    page.get_by_role("button", name="Choose").click()
    page.get_by_label(re.compile("^For")).fill("100")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".wrong")).to_have_text("Must be between 1 and 10 s.")
    page.get_by_label(re.compile("^For")).fill("3")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".messages")).to_contain_text("Honk: queued.")
    page.get_by_role("button", name="Cancel Honk").click()
    expect(page.locator(".order .outcome")).to_have_text("Cancelled")
    context.close()


def test_the_list_of_all_fleets(panel: Page, screenshot: Screenshot) -> None:
    panel.get_by_role("button", name="Send").click()
    expect(panel.locator(".order")).to_have_count(1)
    go_to(panel, "Commands")
    expect(panel.locator(".order")).to_have_count(1)
    assert serious_violations(panel) == []
    screenshot("commands-list")
    panel.get_by_label("State").select_option("failed")
    panel.get_by_role("button", name="Show").click()
    expect(panel.get_by_role("heading", name="No command matches")).to_be_visible()
