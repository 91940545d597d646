"""The vehicle page as a person uses it, and the log-in before it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.visitor import log_in, overflows, serious_violations
from tests.servers import Site, wait_until

Screenshot = Callable[[str], Path]
URL = "/vehicles/demo/berlin-03/"


@pytest.fixture
def vehicle_page(site: Site, browser_page: Page) -> Page:
    log_in(browser_page, site, URL)
    expect(browser_page.locator(".gauges")).to_be_visible(timeout=60_000)
    return browser_page


def test_gauges_follow_the_vehicle(vehicle_page: Page, screenshot: Screenshot) -> None:
    expect(vehicle_page.get_by_role("heading", level=1)).to_have_text("Van 03")
    gauges = vehicle_page.locator(".gauges .main-gauges, .gauges .more-gauges")
    was = gauges.all_inner_texts()
    # The replayed van stands for up to 83 s, at lights and in a jam.
    wait_until(lambda: gauges.all_inner_texts() != was, "the gauges move", 100)
    words = set(vehicle_page.locator(".gauge .origin").all_inner_texts())
    assert words <= {"sent", "reconstructed"}
    screenshot("vehicle")


def test_charts_show_what_was_sent_and_what_was_reconstructed(vehicle_page: Page) -> None:
    expect(vehicle_page.locator(".chart .uplot")).to_have_count(3)
    for word in ("sent", "reconstructed", "incomplete"):
        expect(vehicle_page.locator(".key").get_by_text(word)).to_be_visible()
    plot = vehicle_page.locator(".chart .u-over").first
    box = plot.bounding_box()
    assert box
    for step in range(1, 40):
        vehicle_page.mouse.move(box["x"] + box["width"] * (1 - step / 400), box["y"] + 20)
        text = vehicle_page.locator(".chart output").first.inner_text()
        if re.search(r"\d\d:\d\d:\d\d.*(sent|reconstructed|incomplete)", text):
            break
    else:
        pytest.fail(f"the cursor says nothing about a value: {text!r}")
    vehicle_page.get_by_label("Further signal").select_option("voltage")
    expect(vehicle_page.locator(".chart .uplot")).to_have_count(4)
    vehicle_page.get_by_label("Further signal").select_option("")
    expect(vehicle_page.locator(".chart .uplot")).to_have_count(3)


def test_track_and_compression(vehicle_page: Page) -> None:
    expect(vehicle_page.locator("#track-length")).to_have_text(
        re.compile(r"[\d.]+ km driven"), timeout=60_000
    )
    expect(vehicle_page.get_by_text("Values left out")).to_be_visible()
    vehicle_page.locator("#day").fill("2020-01-01")
    expect(vehicle_page.get_by_text("No positions on this day.")).to_be_visible()


def test_log_lines_arrive(vehicle_page: Page) -> None:
    expect(vehicle_page.locator("#live")).to_have_attribute("data-state", "live")
    vehicle_page.evaluate("Convoy.send({ type: 'start_logger' })")
    expect(vehicle_page.locator("#log").get_by_text("Logger started.").first).to_be_visible()


def test_nobody_is_shut_out(vehicle_page: Page, screenshot: Screenshot) -> None:
    assert serious_violations(vehicle_page) == []
    vehicle_page.emulate_media(color_scheme="dark")
    vehicle_page.wait_for_timeout(300)
    assert serious_violations(vehicle_page) == []
    screenshot("vehicle-dark")


def test_on_a_phone(vehicle_page: Page, screenshot: Screenshot) -> None:
    vehicle_page.set_viewport_size({"width": 390, "height": 844})
    vehicle_page.reload()
    expect(vehicle_page.locator(".chart .uplot")).to_have_count(3)
    assert not overflows(vehicle_page)
    screenshot("vehicle-phone")


def test_the_log_in_page(site: Site, browser_page: Page, screenshot: Screenshot) -> None:
    browser_page.goto(URL)
    expect(browser_page).to_have_url(re.compile(r"/login\?next="))
    assert serious_violations(browser_page) == []
    screenshot("log-in")
    browser_page.get_by_label("E-mail").fill("nobody@example.com")
    browser_page.get_by_label("Password").fill("wrong")
    browser_page.get_by_role("button", name="Log in").click()
    expect(browser_page.get_by_role("alert")).to_be_visible()
    assert serious_violations(browser_page) == []
