"""Driving events in a browser: found in a list, looked at on map and chart, dismissed; the score explained."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations, until
from tests.servers import Site

WRITE = """
import math
from datetime import timedelta
from django.utils import timezone
from fleet.aggregation import rollups
from fleet.models import Driver, Vehicle
from fleet.tests.test_rollups import told
from fleet.journeys.trips import keep
from telemetry.derivation import driving_anew
from tests.deliveries import deliver, derive_all, drain_all
from tests.drives import START
from tests.rules import at
from tests.world import make_car
Vehicle.objects.filter(slug="braker").delete()
car = make_car("demo", "Braker")
Driver.objects.known(car.vehicle.fleet_id, "ada")
Driver.objects.filter(slug="ada").update(name="Ada Berg")
driving_anew.take_up()
begin = timezone.now() - timedelta(hours=3)
speeds = [0.0] + [5.0 * n for n in range(1, 11)] + [50.0] * 20 + [48.0, 34.0, 19.0, 6.0, 0.0] + [0.0] * 9
speeds += [6.0 * n for n in range(1, 9)] + [50.0] * 15 + [36.0, 21.0, 9.0, 7.0]
speeds += [9.0 * n for n in range(1, 16)] + [140.0] * 12 + [120.0, 104.0, 90.0, 74.0, 60.0]
lat, lng, messages = 52.4316, 13.5290, []
for n, speed in enumerate(speeds):
    lng += speed / 3.6 / 67_700
    lat += speed / 3.6 / 400_000 * math.sin(n / 20)
    said = {"speed": speed, "heading": 90.0, "latitude": lat, "longitude": lng, "ignition": 1.0}
    messages.append(at(begin.timestamp() - START + n, **said))
deliver(car, messages)
for _ in range(3):
    drain_all()
    derive_all()
keep(car.vehicle, [told("t1", begin - timedelta(minutes=1), 30, 20, "ada", mean_risk=0.12)])
keep(car.vehicle, [told("t0", begin - timedelta(days=3), 60, 45, "ada", mean_risk=0.05)])
from fleet.aggregation import rebuild
rebuild.ask_for([car.vehicle.fleet_id])
rollups.keep_up(timezone.now())
"""
FORGET = """
from fleet.models import Driver, Fleet, Vehicle
from fleet.aggregation import rebuild
Vehicle.objects.filter(slug="braker").delete()
Driver.objects.filter(slug="ada").delete()
rebuild.ask_for(Fleet.objects.values_list("pk", flat=True))
"""


@pytest.fixture
def events_page(site: Site, browser_page: Page) -> Iterator[Page]:
    log_in(browser_page, site)
    run_in(site, WRITE)
    browser_page.goto("/driving-events?vehicle=braker")
    yield browser_page
    run_in(site, FORGET)


def test_from_the_list_to_a_dismissal(events_page: Page, screenshot: Screenshot) -> None:
    page = events_page
    expect(page.get_by_role("row")).to_have_count(5)  # three brakings, one speeding, the head
    assert not serious_violations(page)
    screenshot("driving-events")
    page.get_by_label("Kind").select_option("harsh_braking")
    expect(page.get_by_role("row")).to_have_count(4)
    page.get_by_role("link", name="Harsh braking").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Harsh braking")
    expect(page.locator(".chart canvas").first).to_be_visible()
    until(page, "document.getElementById('map-veil').hidden")
    assert not serious_violations(page)
    screenshot("driving-event")
    page.get_by_label("Reason").fill("A child ran into the road")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("A child ran into the road")).to_be_visible()
    assert not serious_violations(page)
    page.get_by_role("button", name="Count it again").click()
    expect(page.get_by_label("Reason")).to_be_visible()


def test_the_score_explained(events_page: Page, screenshot: Screenshot) -> None:
    page = events_page
    page.get_by_role("link", name="Ada Berg").first.click()
    expect(page.get_by_role("heading", name="Safety score")).to_be_visible()
    assert not serious_violations(page)
    screenshot("driver-score")
    page.locator(".deductions").get_by_role("link", name="Harsh braking").click()
    expect(page.get_by_role("row")).to_have_count(4)
    page.goto("/vehicles/demo/braker/")
    expect(page.get_by_role("heading", name="Safety score")).to_be_visible()
    page.goto("/leaderboard")
    screenshot("leaderboard-explained")
    page.goto("/fleets/demo/driving")
    assert not serious_violations(page)
    screenshot("driving-settings")


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_screens(events_page: Page, width: int, screenshot: Screenshot) -> None:
    page = events_page
    page.set_viewport_size({"width": width, "height": 740})
    assert not overflows(page)
    page.get_by_role("link", name="Harsh braking").first.click()
    expect(page.locator(".chart canvas").first).to_be_visible()
    assert not overflows(page)
    screenshot(f"driving-event-{width}")
    page.get_by_role("link", name="Ada Berg").first.click()
    assert not overflows(page)
    screenshot(f"driver-score-{width}")
    page.goto("/fleets/demo/driving")
    assert not overflows(page)
