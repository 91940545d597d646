"""Statistics and the leaderboard in a browser: figures, a chart with its table, vehicles side by side; at any width."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations
from tests.servers import Site

WRITE = """
from datetime import timedelta
from django.utils import timezone
from fleet.aggregation import rollups
from fleet.models import Vehicle
from fleet.journeys.trips import TripTold, keep
now = timezone.now()
for number, van in enumerate(Vehicle.objects.select_related("fleet").order_by("slug")[:4]):
    for day in range(40):
        start = now - timedelta(days=day, hours=3)
        values = {"driver_id": f"driver_{number}", "distance_m": 4e4, "duration_s": 3600.0}
        values |= {"mean_risk": 0.1 + number / 20, "alerts": {"info": day % 2}}
        keep(van, [TripTold(f"e2e-{number}-{day}", start, start + timedelta(hours=1), values)])
while rollups.keep_up(timezone.now()): pass
"""
REMOVE = """
from django.utils import timezone
from fleet.aggregation import rebuild, rollups
from fleet.models import Fleet, TripSummary
TripSummary.objects.filter(trip_id__startswith="e2e-").delete()
rebuild.ask_for(Fleet.objects.values_list("pk", flat=True))
while rollups.keep_up(timezone.now()): pass
"""


@pytest.fixture(scope="module")
def driven(site: Site) -> Iterator[None]:
    run_in(site, WRITE)
    yield
    run_in(site, REMOVE)


def test_from_key_figures_to_a_comparison(
    site: Site, driven: None, browser_page: Page, screenshot: Screenshot
) -> None:
    page = browser_page
    log_in(page, site)
    page.get_by_role("link", name="Statistics").click()
    # km of four vehicles in thirty days (29, soon after midnight in Berlin), and what the demo fleet drove meanwhile
    expect(page.get_by_text(re.compile(r"^4,[6-9]\d\d"))).to_be_visible()
    page.get_by_label("Metric").select_option("distance")
    expect(page.get_by_role("heading", name="Vehicles by distance")).to_be_visible()
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="Table of days").get_by_role("row")).to_have_count(31)
    for box in page.get_by_role("checkbox").all()[:2]:
        box.check()
    page.get_by_role("button", name="Compare chosen").click()
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible()
    assert not serious_violations(page)
    screenshot("statistics")
    with page.expect_download() as download:
        page.get_by_role("link", name="Vehicles as CSV").click()
    assert download.value.suggested_filename.startswith("vehicles-demo-")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_leaderboard_at_any_width(
    site: Site, driven: None, browser_page: Page, screenshot: Screenshot, width: int
) -> None:
    page = browser_page
    log_in(page, site)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/leaderboard?days=30")
    expect(page.get_by_role("row").nth(1)).to_contain_text("driver_0")
    assert not serious_violations(page)
    assert not overflows(page)
    screenshot(f"leaderboard-{width}")
    page.goto("/statistics")
    assert not overflows(page)
