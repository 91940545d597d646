"""A trip in a browser: from the list to its route, chart and replay in step; on a phone; what counts as a trip."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations, until
from tests.servers import Site

WRITE = """
from datetime import datetime, UTC
from fleet.journeys.trips import TripTold, keep
from tests.deliveries import deliver, derive_all, drain_all
from tests.rules import at
from tests.drives import START
from tests.world import make_car
car = make_car("demo", "e2e-trips", "E2ETRIPS000000001")
records, way = [], 0.0
for n, speed in enumerate([0.0] * 10 + [30.0] * 40 + [0.0] * 12 + [62.0] * 40 + [0.0] * 60):
    way += speed / 3.6 * 5
    place = {"latitude": 52.428 + way / 111195, "longitude": 13.52}
    records.append(at(n * 5, speed=speed, battery=80 - n / 20, power=speed / 4, **place))
deliver(car, records)
drain_all()
derive_all()
start = datetime.fromtimestamp(START + 45, UTC)
values = {"driver_id": "ada", "distance_m": 5000.0, "duration_s": 460.0, "max_speed_m_s": 17.5}
keep(car.vehicle, [TripTold("e2e-told", start, datetime.fromtimestamp(START + 505, UTC), values)])
"""
REMOVE = """
from fleet.models import Fleet, TripRules, TripSummary, Vehicle
from fleet.aggregation import rebuild
from telemetry.models import TelemetryRecord
TripSummary.objects.filter(trip_id="e2e-told").delete()
van = Vehicle.objects.get(vin="E2ETRIPS000000001")
TelemetryRecord.objects.filter(vehicle=van).delete()
van.devices.all().delete()
van.delete()
TripRules.objects.update(stop_s=180.0)
rebuild.ask_for(Fleet.objects.values_list("pk", flat=True))
"""


@pytest.fixture(scope="module")
def driven(site: Site) -> Iterator[None]:
    run_in(site, WRITE)
    yield
    run_in(site, REMOVE)


def test_from_the_list_to_a_moment_on_the_map(
    site: Site, driven: None, browser_page: Page, screenshot: Screenshot
) -> None:
    page = browser_page
    log_in(page, site)
    page.get_by_role("link", name="Trips", exact=True).click()
    page.get_by_role("textbox", name="Driver").fill("ada")
    page.get_by_role("button", name="Show").click()
    row = page.get_by_role("row").filter(has_text="e2e-trips")
    expect(row).to_contain_text("5.1 km")
    expect(row).to_contain_text("5.0 km -2")
    assert not serious_violations(page)
    screenshot("trips")
    row.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="What the device says")).to_be_visible()
    expect(page.locator("#halts li")).to_contain_text("stood 55 s")
    expect(page.locator("#chart canvas")).to_be_visible()
    slider = page.get_by_label("Moment of the trip")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("#told")).to_contain_text("0 km/h")
    page.locator("#halts button").click()
    before = page.locator("#moment").input_value()
    page.get_by_label("Pace").select_option("120")
    page.get_by_role("button", name="Play").click()
    until(page, f"Number(document.getElementById('moment').value) > {before}")
    page.get_by_role("button", name="Pause").click()
    assert not serious_violations(page)
    screenshot("trip")
    with page.expect_download() as got:
        page.get_by_role("link", name="GPX").click()
    assert got.value.suggested_filename.endswith(".gpx")
    page.set_viewport_size({"width": 390, "height": 844})
    assert not overflows(page)
    screenshot("trip-phone")


def test_what_counts_is_changed_and_found_anew(
    site: Site, driven: None, browser_page: Page, screenshot: Screenshot
) -> None:
    page = browser_page
    log_in(page, site)
    page.goto("/fleets/demo/trip-rules")
    page.get_by_label("Standing ends a trip after, s").fill("45")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("All trips are found anew")).to_be_visible()
    assert not serious_violations(page)
    screenshot("trip-rules")
    expect(page.locator("#progress")).to_contain_text("their trips follow these rules", timeout=60_000)
    page.goto("/trips?driver=ada")
    expect(page.get_by_role("row").filter(has_text="e2e-trips")).to_have_count(2)
