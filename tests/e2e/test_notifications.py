"""Notifications in a browser: the bell moves by a push, a webhook is made and tested, choices are kept."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations
from tests.receivers import HttpReceiver, http_receiver
from tests.servers import Site, wait_until

pytestmark = pytest.mark.timeout(300)

# In a process of its own, which no browser hears of but through the page's next question.
RAISE = """
from django.utils import timezone
from fleet.alerting.alerts import Report, raise_alert
from fleet.models import Severity, Vehicle
raise_alert(Vehicle.objects.order_by("id")[0], Report("e2e_hot", Severity.CRITICAL, "too hot", timezone.now()))
"""
# The demo's own rules raise alerts at any time.
QUIET = """
from fleet.models import Alert, AlertRule
AlertRule.objects.update(enabled=False)
Alert.objects.all().delete()
"""
CLEAN = """
from fleet.models import Alert, AlertRule, EscalationStep, NotificationChoice, Webhook
AlertRule.objects.update(enabled=True)
Alert.objects.filter(type__startswith="e2e_").delete()
for model in (EscalationStep, NotificationChoice, Webhook):
    model.objects.all().delete()
"""
TRIGGER = """async () => {
  const token = document.cookie.match(/csrftoken=([^;]+)/)[1];
  const headers = { "X-CSRFToken": token, "Content-Type": "application/json" };
  const answer = await fetch("/api/v1/alerts/trigger", { method: "POST", headers,
    body: JSON.stringify({ vehicle_id: "berlin-01", type: "e2e_co2", severity: "CRITICAL", message: "much" }) });
  return answer.status;
}"""


@pytest.fixture
def page(site: Site, browser_page: Page) -> Iterator[Page]:
    run_in(site, QUIET)
    log_in(browser_page, site)
    yield browser_page
    run_in(site, CLEAN)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running


def test_an_alert_reaches_the_bell_the_list_and_a_webhook(
    page: Page, receiver: HttpReceiver, screenshot: Screenshot
) -> None:
    page.goto("/fleets/demo/notifications")
    page.get_by_label("Name").fill("On call")
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_role("button", name="Add webhook").click()
    expect(page.locator("#secret")).to_contain_text("whsec_")
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("#deliveries [data-outcome=delivered]")).to_be_visible()
    assert not serious_violations(page)
    screenshot("webhook")

    page.goto("/notifications")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(page.get_by_text("Nobody had to tell you anything")).to_be_visible()
    assert page.evaluate(TRIGGER) == 201
    expect(page.get_by_role("link", name="e2e_co2")).to_be_visible(
        timeout=8_000
    )  # the slow refresh takes 30 s
    expect(page.locator("#bell .count")).to_have_text("1")
    assert not serious_violations(page)
    screenshot("notifications")
    page.get_by_role("link", name="e2e_co2").click()
    expect(page.get_by_role("heading", name="Who was told")).to_be_visible()
    expect(page.locator("#bell .count")).to_be_hidden()
    wait_until(lambda: len(receiver.heard) == 2, "the webhook's two messages", 20)


def test_choices_and_escalation(page: Page, screenshot: Screenshot) -> None:
    page.goto("/account/notifications")
    page.get_by_label("By e-mail").select_option(label="warnings and worse")
    page.get_by_label("From").fill("22:00")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("need a beginning and an end")).to_be_visible()
    page.get_by_label("To", exact=True).fill("06:30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved for")).to_be_visible()
    assert not serious_violations(page)
    screenshot("notification-choices")
    page.goto("/fleets/demo/notifications")
    page.get_by_text("Add a step").click()
    page.get_by_label("Tell everybody who is").select_option("owner")
    page.get_by_role("button", name="Add step").click()
    expect(page.get_by_text("Step added")).to_be_visible()
    page.get_by_role("button", name="Remove the step").click()
    expect(page.get_by_text("No step yet")).to_be_visible()


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_screens(site: Site, page: Page, width: int) -> None:
    run_in(site, RAISE)
    page.set_viewport_size({"width": width, "height": 740})
    for path in ("/notifications", "/account/notifications", "/fleets/demo/notifications", "/alerts"):
        page.goto(path)
        assert not overflows(page), path
