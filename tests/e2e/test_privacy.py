"""Privacy in a browser: limits and hours of a fleet, a private vehicle, its trip, a person's file and their erasure."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Complaints
from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations, until
from tests.servers import Site, wait_until

WRITE = """
from datetime import timedelta
from django.utils import timezone
from fleet.models import Driver, Fleet
from fleet.journeys.trips import keep
from fleet.tests.test_rollups import told
from tests.deliveries import deliver, derive_all, drain_all
from tests.drives import START
from tests.rules import at
from tests.world import make_car
car = make_car("demo", "Discreet")
Driver.objects.known(car.vehicle.fleet_id, "grace")
Driver.objects.filter(slug="grace").update(name="Grace Hopper")
begin = timezone.now() - timedelta(minutes=20)
messages = []
for n in range(0, 600, 3):
    messages.append(at(begin.timestamp() - START + n, speed=50.0 if n < 420 else 0.0, ignition=float(n < 420),
                       latitude=52.45 + min(n, 420) * 6e-5, longitude=13.53, battery=70.0))
deliver(car, messages)
for _ in range(3):
    drain_all()
    derive_all()
keep(car.vehicle, [told("discreet", begin, 7, 6, "grace")])
"""
PRIVATE_SINCE = """
from django.db import transaction
from django.utils import timezone
from datetime import timedelta
from fleet.models import PrivateRule
from fleet.privacy import spans
from tests.deliveries import derive_all
rule = PrivateRule.objects.get(vehicle__slug="discreet")
rule.since = timezone.now() - timedelta(hours=1)
rule.save()
with transaction.atomic():
    spans.renew([rule])
derive_all()
"""
ROAMER = """
from tests.world import make_car
open({path!r}, "w").write(make_car("demo", "Roamer").token)
"""
FORGET = """
from fleet.models import Driver, Fleet, PersonWish, PrivateRule, Retention, Vehicle
from fleet.privacy import wishes
wishes.grant_due()
PrivateRule.objects.all().delete()
Retention.objects.all().delete()
Fleet.objects.update(footage_days=None)
Vehicle.objects.filter(slug__in=["discreet", "roamer"]).delete()
Driver.objects.filter(slug="grace").delete()
Driver.objects.filter(slug__startswith="erased-").delete()
"""
SMALL = {"width": 390, "height": 844}


@pytest.fixture
def page(site: Site, browser_page: Page, complaints: Complaints) -> Iterator[Page]:
    complaints.allowed += [r"status of 400 .*/(privacy|person)"]
    log_in(browser_page, site)
    run_in(site, WRITE)
    yield browser_page
    run_in(site, FORGET)


def looked_at(page: Page, screenshot: Screenshot, name: str) -> None:
    """On a laptop and on a telephone."""
    assert not serious_violations(page)
    assert not overflows(page)
    screenshot(name)
    page.set_viewport_size({"width": SMALL["width"], "height": SMALL["height"]})
    assert not overflows(page)
    screenshot(f"{name}-small")
    page.set_viewport_size({"width": 1280, "height": 800})


def test_limits_and_private_hours(page: Page, screenshot: Screenshot) -> None:
    page.goto("/fleets/demo/privacy")
    page.get_by_label("Telemetry records, months").fill("12")
    page.get_by_label("Positions of trips and events, visits, months").fill("6")
    hours = page.get_by_label("Hours of the week in which no position is shown")
    hours.fill("whenever")
    page.get_by_role("button", name="Save").click()
    expect(hours).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Telemetry records, months")).to_have_value("12")
    looked_at(page, screenshot, "privacy-wrong")
    hours.fill("Mon-Fri 18:00-06:00\nSat Sun 00:00-24:00")
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_label("Positions of trips and events, visits, months")).to_have_value("6")
    expect(hours).to_have_value(re.compile("Mon-Fri 18:00-06:00"))
    looked_at(page, screenshot, "privacy")


def test_a_private_vehicle_hides_its_position_and_says_so(
    page: Page, site: Site, screenshot: Screenshot
) -> None:
    page.goto("/trips")
    page.get_by_role("row", name=re.compile("Discreet")).get_by_role("link").first.click()
    until(page, "document.getElementById('map-veil').hidden")
    trip = page.url
    expect(page.get_by_text("52.4", exact=False).first).to_be_visible()
    page.goto("/vehicles/demo/discreet/")
    until(page, "document.getElementById('map-veil').hidden")
    page.get_by_role("button", name="Make it private now").click()
    expect(page.get_by_text("Private from now on: nobody sees where it is.")).to_be_visible()
    panel = page.get_by_role("region", name="Private", exact=True)
    expect(panel.get_by_text("Switched on since")).to_be_visible()
    run_in(site, PRIVATE_SINCE)
    page.reload()
    expect(page.locator("#map-veil")).to_contain_text("private")
    looked_at(page, screenshot, "vehicle-private")
    page.goto(trip)
    expect(page.get_by_text("where it was then is shown to nobody")).to_be_visible()
    expect(page.locator("#map-veil")).to_contain_text("Private")
    expect(page.get_by_text(re.compile(r"52\.4\d+, 13\.53"))).to_have_count(0)
    looked_at(page, screenshot, "trip-private")
    page.goto("/")
    answer = page.evaluate("fetch('/live/positions').then((answer) => answer.json())")
    (row,) = [row for row in answer["vehicles"] if row[2] == "discreet"]
    assert row[7] is None and row[8] is None
    page.goto("/fleets/demo/privacy")
    expect(page.get_by_role("row", name=re.compile("Discreet switched on"))).to_be_visible()
    page.goto("/vehicles/demo/discreet/")
    page.get_by_role("button", name="Show its position again").click()
    expect(page.get_by_text("Its position is shown again from now on.")).to_be_visible()


def test_an_open_map_forgets_a_vehicle_that_becomes_private(page: Page, site: Site, tmp_path: Path) -> None:
    token = tmp_path / "token"
    run_in(site, ROAMER.format(path=str(token)))

    def told(north: float) -> None:
        record = {"timestamp": time.time(), "speed": 30.0, "latitude": 52.45 + north, "longitude": 13.53}
        answer = page.request.post(
            f"{site.url}/api/telemetry", data=record, headers={"Authorization": f"Bearer {token.read_text()}"}
        )
        assert answer.ok, answer.text()

    told(0.0)
    page.goto("/?q=Roamer")
    placed = (
        "[...Convoy.page.vehicles.values()].filter((one) => one.name === 'Roamer' && one.lat !== null).length"
    )
    drawn = placed.replace("one.lat !== null", "Convoy.page.layer.latLng(one.id)")
    wait_until(lambda: page.evaluate(placed) == 1 and page.evaluate(drawn) == 1, "it is on the map")
    other = page.context.new_page()
    other.goto("/vehicles/demo/roamer/")
    other.get_by_role("button", name="Make it private now").click()
    expect(other.get_by_text("Private from now on")).to_be_visible()
    other.close()
    told(0.001)
    wait_until(lambda: page.evaluate(placed) == 0 and page.evaluate(drawn) == 0, "the map forgot it")
    assert page.evaluate("[...Convoy.page.vehicles.values()].some((one) => one.name === 'Roamer')")


def test_everything_kept_of_a_person_as_a_file(page: Page, screenshot: Screenshot, tmp_path: Path) -> None:
    page.goto("/drivers/demo/grace/")
    page.get_by_role("button", name="Data and erasure").click()
    page.get_by_label("Reason").fill("She asked for it by letter")
    page.get_by_role("button", name="Make the file").click()
    expect(page.get_by_text("The file is being made")).to_be_visible()
    link = page.get_by_role("link", name="Download")
    wait_until(lambda: bool(page.reload()) and link.count() == 1, "the file is made", 30)
    looked_at(page, screenshot, "person")
    with page.expect_download() as waiting:
        link.click()
    path = tmp_path / "person.zip"
    waiting.value.save_as(path)
    assert path.read_bytes()[:2] == b"PK"


def test_erasure_asks_before_it_erases(page: Page, screenshot: Screenshot) -> None:
    page.goto("/drivers/demo/grace/person")
    page.get_by_label("Type grace to confirm").fill("somebody")
    page.get_by_label("Your password").fill("wrong")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("alert")).to_contain_text("type grace to confirm")
    looked_at(page, screenshot, "erasure-refused")
    page.get_by_label("Type grace to confirm").fill("grace")
    page.get_by_label("Your password").fill("wrong")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("alert")).to_contain_text("the password or the code is wrong")
    page.get_by_role("button", name="Keep them").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Grace Hopper")
