"""Alert rules in a browser: tried, made, in the list, deleted; at any width."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations
from tests.servers import Site

TIDY = "from fleet.models import AlertRule; AlertRule.objects.filter(name='Walking pace').delete()"


@pytest.fixture
def rules_page(site: Site, browser_page: Page) -> Iterator[Page]:
    log_in(browser_page, site)
    browser_page.goto("/fleets/demo/rules")
    yield browser_page
    run_in(site, TIDY)


def test_from_a_trial_to_a_rule(rules_page: Page, screenshot: Screenshot) -> None:
    page = rules_page
    expect(page.get_by_text("Speed above 55 km/h (until 50 km/h) for 5 s")).to_be_visible()
    assert not serious_violations(page)
    screenshot("rules")
    page.get_by_role("button", name="New rule").click()
    expect(page.get_by_label("Value", exact=True)).to_be_visible()
    page.get_by_label("Kind").select_option("silence")
    expect(page.get_by_label("Value", exact=True)).to_be_hidden()
    expect(page.get_by_label("Nothing received for, minutes")).to_be_visible()
    page.get_by_label("Kind").select_option("overspeed")
    page.get_by_label("Name").fill("Walking pace")
    page.get_by_label("Limit").fill("499")
    page.get_by_role("button", name="Try on the last 7 days").click()
    expect(page.get_by_text("it would have been quiet")).to_be_visible()
    assert not serious_violations(page)
    screenshot("rule")
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_text("Walking pace watches from now on.")).to_be_visible()
    page.get_by_role("button", name="Switch Walking pace off").click()
    expect(page.get_by_text("Walking pace is off.")).to_be_visible()
    page.get_by_role("link", name="Walking pace").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete the rule").click()
    expect(page.get_by_text("Walking pace was deleted.")).to_be_visible()


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_screens(rules_page: Page, width: int) -> None:
    rules_page.set_viewport_size({"width": width, "height": 740})
    assert not overflows(rules_page)
    rules_page.get_by_role("link", name="Faster than 55 km/h").click()
    expect(rules_page.get_by_role("heading", level=1)).to_have_text("Change a rule")
    assert not overflows(rules_page)
