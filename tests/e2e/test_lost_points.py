"""Every lost point in a browser: from the leaderboard over the score to the event on the map of its trip."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_driving_events import FORGET, WRITE
from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations
from tests.servers import Site

LONGER = """
for n in range(240):
    lng += 60.0 / 3.6 / 67_700
    said = {"speed": 60.0, "heading": 90.0, "latitude": lat, "longitude": lng, "ignition": 1.0}
    messages.append(at(begin.timestamp() - START + len(speeds) + n, **said))
for n in range(8):
    said = {"speed": 0.0, "latitude": lat, "longitude": lng, "ignition": 0.0}
    messages.append(at(begin.timestamp() - START + len(speeds) + 240 + 30 * n, **said))
"""
WRITE_LONGER = WRITE.replace("deliver(car, messages)\n", f"{LONGER}deliver(car, messages)\n", 1)


@pytest.fixture
def board(site: Site, browser_page: Page) -> Iterator[Page]:
    log_in(browser_page, site)
    run_in(site, WRITE_LONGER)
    browser_page.goto("/leaderboard")
    yield browser_page
    run_in(site, FORGET)


def test_from_the_leaderboard_to_the_event_on_the_map(board: Page, screenshot: Screenshot) -> None:
    page = board
    page.get_by_role("link", name="Ada Berg").click()
    expect(page.get_by_role("heading", name="Safety score")).to_be_visible()
    expect(page.get_by_text("What would improve it most")).to_be_visible()
    page.locator(".deductions").get_by_role("link", name="Harsh braking").click()
    expect(page.get_by_role("columnheader", name="Points")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(4)
    assert not serious_violations(page)
    screenshot("lost-points")
    page.get_by_role("link", name="on the map of its trip").last.click()
    expect(page.locator("#events [aria-current]")).to_have_count(1)
    expect(page.locator(".leaflet-tooltip")).to_contain_text("Harsh braking")
    chosen = page.locator("#events [aria-current]")
    expect(page.locator("#told")).to_contain_text((chosen.text_content() or "")[:7])
    expect(page.locator("#events .points").first).to_contain_text("−")
    assert not serious_violations(page)
    screenshot("trip-with-event")
    # By keyboard: the next event, map and chart follow.
    number = page.locator("#events [data-event]:not([aria-current])").last.get_attribute("data-event")
    other = page.locator(f"#events [data-event='{number}']")
    other.focus()
    page.keyboard.press("Enter")
    expect(other).to_have_attribute("aria-current", "true")
    expect(page.locator(".leaflet-tooltip")).to_contain_text((other.text_content() or "")[:8])
    expect(page.locator("#told")).to_contain_text((other.text_content() or "")[:7])
    assert f"event={number}" in page.url
    page.go_back()
    page.go_back()
    screenshot("driver-with-trend")


def test_the_driver_assigned_and_the_list_of_trips(board: Page, screenshot: Screenshot) -> None:
    page = board
    page.goto("/vehicles/demo/braker/")
    panel = page.get_by_role("region", name="Who drives it")
    panel.get_by_text("Assign a driver").click()
    panel.get_by_label("Driver").select_option(label="Ada Berg")
    panel.get_by_role("button", name="Assign").click()
    expect(page.get_by_text("is Ada Berg’s")).to_be_visible()
    expect(panel.get_by_text("until further notice").first).to_be_visible()
    page.goto("/assignments")
    assert not serious_violations(page)
    screenshot("assignments")
    page.goto("/fleets/demo/assignments/import")
    page.get_by_label("Or text").fill(
        "vehicle,driver,from,to\nbraker,ada,2020-01-01T00:00,2020-01-02T00:00\nnone,ada,x,"
    )
    page.get_by_role("button", name="Show what it would add").click()
    expect(page.get_by_text("1 of 2 rows cannot be added")).to_be_visible()
    assert not serious_violations(page)
    screenshot("assignment-import")
    page.goto("/trips?vehicle=&sort=worst")
    expect(page.get_by_role("columnheader", name="Score")).to_be_visible()
    screenshot("trips-with-scores")


@pytest.mark.parametrize("width", [390])
def test_narrow(board: Page, width: int, screenshot: Screenshot) -> None:
    page = board
    page.set_viewport_size({"width": width, "height": 780})
    for address in (
        "/assignments",
        "/fleets/demo/assignments/import",
        "/trips?sort=worst",
        "/leaderboard?of=vehicles",
    ):
        page.goto(address)
        assert not overflows(page), address
    page.goto("/driving-events?vehicle=braker")
    page.get_by_role("link", name="on the map of its trip").first.click()
    expect(page.locator(".leaflet-tooltip")).to_be_visible()
    assert not overflows(page)
    screenshot(f"trip-with-event-{width}")


def test_from_a_component_to_the_trip_that_cost_most(board: Page, screenshot: Screenshot) -> None:
    page = board
    page.get_by_role("link", name="Ada Berg").click()
    page.locator(".deductions").get_by_role("link", name="Risk reported by the vehicle").click()
    expect(page.get_by_role("columnheader", name="Of the driver’s score")).to_be_visible()
    expect(page.get_by_label("Sort by")).to_have_value("cost")
    expect(page.get_by_text("The driver’s score lost")).to_be_visible()
    assert not serious_violations(page)
    assert not overflows(page)
    screenshot("trips-by-cost")
    page.get_by_role("link", name="Summaries without a detected trip").click()
    expect(page.get_by_role("row", name="t0")).to_contain_text("−")
    page.go_back()
    page.locator("#trip-list tbody").get_by_role("link", name="−").first.click()
    expect(page.locator(".deductions [aria-current]")).to_contain_text("Risk reported by the vehicle")
    page.set_viewport_size({"width": 390, "height": 844})
    assert not overflows(page)
    assert not serious_violations(page)
    screenshot("trip-component-small")
