"""Reports in a browser: from the catalogue to a table, a file that a worker makes, and one that comes by mail."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations, until
from tests.servers import Site

WRITE = """
from datetime import timedelta
from django.utils import timezone
from fleet.models import Vehicle
from fleet.journeys.trips import TripTold, keep
now = timezone.now()
for number, van in enumerate(Vehicle.objects.select_related("fleet").order_by("slug")[:3]):
    trips = []
    for hour in range(30):
        start = now - timedelta(hours=2 + 5 * hour)
        values = {"driver_id": f"driver_{number}", "distance_m": 1000.0 * (hour + 1), "duration_s": 1800.0}
        trips.append(TripTold(f"report-{number}-{hour}", start, start + timedelta(minutes=30), values))
    keep(van, trips)
"""
REMOVE = """
from django.utils import timezone
from fleet.aggregation import rebuild, rollups
from fleet.models import Fleet, ReportColumns, ReportSchedule, ReportStyle, TripSummary
from fleet.models import ReportExport
for model in (ReportExport, ReportSchedule, ReportColumns, ReportStyle): model.objects.all().delete()
TripSummary.objects.filter(trip_id__startswith="report-").delete()
rebuild.ask_for(Fleet.objects.values_list("pk", flat=True))
while rollups.keep_up(timezone.now()): pass
"""


@pytest.fixture(scope="module")
def driven(site: Site) -> Iterator[None]:
    run_in(site, WRITE)
    yield
    run_in(site, REMOVE)


def test_from_the_catalogue_to_a_file(
    site: Site, driven: None, browser_page: Page, screenshot: Screenshot
) -> None:
    page = browser_page
    log_in(page, site)
    page.get_by_role("link", name="Reports", exact=True).click()
    assert not serious_violations(page)
    page.get_by_role("main").get_by_role("link", name="Trips", exact=True).click()
    page.get_by_role("link", name="Distance (km)").click()
    expect(page.get_by_role("columnheader", name="Distance (km)")).to_have_attribute(
        "aria-sort", "descending"
    )
    expect(page.get_by_role("row").nth(1)).to_contain_text("30.0")
    page.get_by_label("Period").select_option("7")
    expect(page).to_have_url(re.compile("days=7.*sort=-distance|sort=-distance.*days=7"))
    page.get_by_text("Columns, units and separators").click()
    page.get_by_role("checkbox", name="Plate").uncheck()
    page.get_by_label("Units of all reports").select_option("imperial")
    page.get_by_role("button", name="Remember").click()
    expect(page.get_by_role("columnheader", name="Distance (mi)")).to_be_visible()
    assert "days=7" in page.url and "sort=-distance" in page.url, "the question is kept"
    expect(page.get_by_role("columnheader", name="Plate")).to_have_count(0)
    assert not serious_violations(page)
    screenshot("report-trips")
    with page.expect_download() as download:
        page.get_by_role("link", name="Excel (XLSX)").click()
    assert download.value.suggested_filename.startswith("trips-demo-")
    assert Path(download.value.path()).read_bytes()[:2] == b"PK"


def test_a_file_in_the_making_shows_how_far_it_is(
    site: Site, driven: None, browser_page: Page, screenshot: Screenshot
) -> None:
    """Asked for as a page of many rows would: the button is there only then."""
    page = browser_page
    log_in(page, site)
    page.goto("/fleets/demo/reports/trips")
    page.evaluate("""() => {
        const form = document.querySelector(".columns-choice form");
        form.action = form.action.replace("columns", "export");
        form.insertAdjacentHTML("beforeend", '<input type="hidden" name="format" value="csv">');
        form.submit();
    }""")
    expect(page.get_by_role("button", name="Download trips-demo-")).to_be_visible()
    assert not serious_violations(page)
    screenshot("report-export")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download trips-demo-").click()
    assert b"Distance" in Path(download.value.path()).read_bytes()


def test_one_that_comes_by_mail(site: Site, driven: None, browser_page: Page, screenshot: Screenshot) -> None:
    page = browser_page
    log_in(page, site)
    page.goto("/fleets/demo/report-schedules")
    assert not serious_violations(page)
    page.get_by_label("Name").fill("Monday’s figures")
    page.get_by_label("Report", exact=True).select_option("summary")
    page.get_by_label("As").select_option("pdf")
    page.get_by_role("button", name="Add schedule").click()
    page.get_by_role("button", name="Run now").click()
    until(page, "document.querySelector('#runs [data-outcome=sent]') !== null", 30)
    expect(page.get_by_role("region", name="Log")).to_contain_text("12 rows")
    assert not serious_violations(page)
    screenshot("report-schedule")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_at_any_width(site: Site, driven: None, browser_page: Page, width: int) -> None:
    page = browser_page
    log_in(page, site)
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("reports", "reports/trips?days=30", "reports/summary", "report-schedules"):
        page.goto(f"/fleets/demo/{path}")
        assert not overflows(page), path


def test_every_report_opens_and_says_what_counts(
    site: Site, driven: None, browser_page: Page, screenshot: Screenshot
) -> None:
    page = browser_page
    log_in(page, site)
    page.goto("/fleets/demo/reports")
    links = page.locator("ul.hub a")
    names = {str(link.get_attribute("href")).rpartition("/")[2] for link in links.all()}
    assert {
        "trips",
        "stops",
        "idling",
        "overspeed",
        "driving-events",
        "energy",
        "charging",
        "visits",
    } <= names
    for name in sorted(names):
        page.goto(f"/fleets/demo/reports/{name}?days=7")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("#report")).to_contain_text(re.compile("row|Nothing to report"))
        assert not overflows(page), name
        if name in {"trips", "energy", "stops"}:
            assert not serious_violations(page), name
            screenshot(f"report-{name}-week")
