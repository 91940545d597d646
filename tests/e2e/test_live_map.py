"""The live map as a person uses it: vehicles drive, the list answers, the connection comes back."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Complaints
from tests.e2e.visitor import VEHICLES, log_in, log_in_as, overflows, run_in, serious_violations, until
from tests.environment import ROOT
from tests.servers import Site

Screenshot = Callable[[str], Path]
PIXELS = "document.querySelector('.fleet-canvas').toDataURL()"
MOVING = "[...Convoy.page.vehicles.values()].filter((vehicle) => vehicle.motion === 'moving').length"
SEEN = "Convoy.page.layer._seen.length"


@pytest.fixture
def live_map(site: Site, browser_page: Page) -> Page:
    log_in(browser_page, site)
    until(browser_page, f"{MOVING} > 2", 60)
    return browser_page


def test_vehicles_drive_without_a_reload(live_map: Page, screenshot: Screenshot) -> None:
    expect(live_map.locator(".row")).to_have_count(VEHICLES)
    before = live_map.evaluate(PIXELS)
    places = "JSON.stringify([...Convoy.page.vehicles.keys()].map((id) => Convoy.page.layer.latLng(id)))"
    was = live_map.evaluate(places)
    until(
        live_map,
        f"JSON.parse({places}).filter((place, i) => JSON.stringify(place) !== JSON.stringify({was}[i])).length > 2",
    )
    until(live_map, f"({PIXELS}) !== {json.dumps(before)}")
    expect(live_map.get_by_text("© OpenStreetMap contributors")).to_be_visible()
    # The page may have been opened before the first records: the counts have caught up all the same.
    expect(live_map.locator("#count-all")).to_have_text(str(VEHICLES))
    expect(live_map.locator("#count-never")).to_have_text("0")
    until(live_map, f"{SEEN} === {VEHICLES}")
    screenshot("live-map")


def test_between_two_records_vehicles_glide(live_map: Page) -> None:
    """More different positions than records: they do not hop from one to the next."""
    count = live_map.evaluate(
        """async () => {
          const { layer, vehicles } = Convoy.page;
          const id = [...vehicles.values()].find((vehicle) => vehicle.motion === "moving" && vehicle.speed > 15).id;
          const places = new Set();
          const end = performance.now() + 2000;
          while (performance.now() < end) {
            await new Promise(requestAnimationFrame);
            places.add(String(layer.latLng(id)));
          }
          return places.size;
        }"""
    )
    assert count > 12


def test_filter_by_state(live_map: Page) -> None:
    live_map.locator("label", has=live_map.locator("#state-moving")).click()
    expect(live_map).to_have_url(re.compile(r"\?state=moving$"))
    until(live_map, "[...document.querySelectorAll('.row')].some((row) => row.dataset.state === 'moving')")
    until(live_map, "Convoy.page.layer._seen.every((vehicle) => vehicle.state === 'moving')")
    live_map.reload()
    expect(live_map.locator("#state-moving")).to_be_checked()
    live_map.locator("label", has=live_map.locator("#state-charging")).click()
    expect(live_map.get_by_text("No vehicle matches")).to_be_visible()
    live_map.get_by_role("button", name="Show all vehicles").click()
    expect(live_map.locator(".row")).to_have_count(VEHICLES)


def test_search_in_list_and_map(live_map: Page) -> None:
    live_map.get_by_label("Search by name").fill("1003E")
    expect(live_map.locator(".row")).to_have_count(1)
    expect(live_map.locator("#count-all")).to_have_text("1")
    until(live_map, f"{SEEN} === 1")
    live_map.get_by_label("Search by name").fill("")
    expect(live_map.locator(".row")).to_have_count(VEHICLES)
    live_map.locator("#sort").select_option("battery")
    expect(live_map).to_have_url(re.compile("sort=battery"))


def test_with_the_keyboard_alone(live_map: Page, site: Site) -> None:
    live_map.reload()
    expect(live_map.locator("#live")).to_have_attribute("data-state", "live")
    live_map.keyboard.press("Tab")
    expect(live_map.get_by_role("link", name="Skip to content")).to_be_focused()
    live_map.locator(".row button").first.focus()
    live_map.keyboard.press("ArrowDown")
    second = live_map.locator(".row button").nth(1)
    expect(second).to_be_focused()
    live_map.keyboard.press("Enter")
    name = live_map.locator(".row .name").nth(1).evaluate("(node) => node.firstChild.textContent")
    card = live_map.get_by_role("article", name="Chosen vehicle")
    expect(card.get_by_role("heading")).to_have_text(name)
    card.get_by_role("button", name="Follow").focus()
    live_map.keyboard.press("Enter")
    expect(card.get_by_role("button", name="Following")).to_have_attribute("aria-pressed", "true")
    live_map.keyboard.press("Escape")
    expect(card).to_be_hidden()
    live_map.locator(".row a.open").nth(1).focus()
    live_map.keyboard.press("Enter")
    expect(live_map.get_by_role("heading", level=1)).to_have_text(name)


def test_a_refresh_of_the_list_keeps_the_place_in_it(live_map: Page) -> None:
    live_map.locator(".row button").nth(3).focus()
    with live_map.expect_response(lambda response: response.request.headers.get("hx-request") == "true"):
        live_map.evaluate("htmx.ajax('GET', '/', { target: '#vehicle-list', source: '#vehicle-list' })")
    expect(live_map.locator(".row button").nth(3)).to_be_focused()


def test_the_server_goes_away_and_comes_back(
    live_map: Page, site: Site, complaints: Complaints, screenshot: Screenshot
) -> None:
    complaints.allowed += [
        "ERR_CONNECTION_REFUSED",
        "ERR_CONNECTION_RESET",
        "ERR_EMPTY_RESPONSE",
        "htmx:",
        "503",
    ]
    site.kill()
    expect(live_map.locator("#live")).to_have_attribute("data-state", "away")
    screenshot("live-map-away")
    site.start()
    expect(live_map.locator("#live")).to_have_attribute("data-state", "live", timeout=60_000)
    newest = "Math.max(...[...Convoy.page.vehicles.values()].map((vehicle) => vehicle.time))"
    before = live_map.evaluate(newest)
    until(live_map, f"{newest} > {before} + 1", 60)
    expect(live_map.locator(".row")).to_have_count(VEHICLES)


def test_silence_turns_vehicles_grey_without_a_push(site: Site, live_map: Page) -> None:
    live_map.route_web_socket(re.compile("/ws"), lambda socket: None)
    live_map.clock.install()
    live_map.reload()
    until(live_map, f"window.Convoy?.page?.vehicles.size === {VEHICLES}")
    live_map.route(
        re.compile("/live/positions"),
        lambda route: route.fulfill(json={"now": time.time(), "vehicles": [], "truncated": False}),
    )
    live_map.route(re.compile(r"/(\?.*)?$"), lambda route: route.fulfill(status=204))
    live_map.clock.fast_forward(150_000)
    live_map.evaluate("Convoy.setClock(Date.now() / 1000)")
    live_map.clock.run_for(3000)
    expect(live_map.locator("#count-offline")).to_have_text(str(VEHICLES))
    expect(live_map.locator(".row").first).to_have_attribute("data-state", "offline")


def synthetic(count: int) -> dict[str, Any]:
    """Vehicles all over Germany, as /live/positions answers."""
    now = time.time()
    states = ("moving", "idle", "parked", "offline")
    rows = []
    for n in range(1, count + 1):
        name = ["demo", f"v-{n}", f"Vehicle {n}", f"B-X {n}", None, states[n % 4 if n % 3 else 0]]
        place = [48 + (n * 37 % 1000) / 160, 8 + (n * 91 % 1013) / 160, n * 7 % 360]
        rows.append([n, *name, *place, 50.0, 60.0, now, now])
    return {"now": now, "vehicles": rows, "truncated": False}


PUSHES = """async () => {
  const { vehicles, takePush, layer } = Convoy.page;
  layer.frames = { count: 0, total: 0, worst: 0 };
  for (let round = 0; round < 8; round += 1) {
    for (const { id, time, lat, lng, heading, motion } of vehicles.values()) {
      if (motion !== "moving") continue;
      const place = { latitude: lat + 0.0005, longitude: lng, heading };
      takePush({ vehicle_id: id, timestamp: time + 1, speed: 50, motion, ...place });
    }
    await new Promise((done) => setTimeout(done, 500));
  }
  return layer.frames;
}"""


@pytest.mark.parametrize("count", [2000, 5000])
def test_thousands_of_vehicles(site: Site, live_map: Page, screenshot: Screenshot, count: int) -> None:
    def answer(route: Route) -> None:
        route.fulfill(json=synthetic(count))

    live_map.route(re.compile("/live/positions"), answer)
    live_map.reload()
    until(live_map, f"window.Convoy?.page?.vehicles.size >= {count}")
    frames = live_map.evaluate(PUSHES)
    mean = frames["total"] / frames["count"]
    figures = f"{count} vehicles: {frames['count']} frames in 4 s, mean {mean:.1f} ms, worst {frames['worst']:.0f} ms"
    (ROOT / "test-results" / f"frames-{count}.txt").write_text(figures + "\n", "utf-8")
    assert mean < 250, "the page stands still; how quick it is, benchmarks say"
    assert frames["count"] > 20
    assert live_map.evaluate("document.querySelectorAll('.leaflet-marker-icon').length") == 0
    screenshot(f"live-map-{count}")


def test_nobody_is_shut_out(live_map: Page, screenshot: Screenshot) -> None:
    live_map.locator(".row button").first.click()
    assert serious_violations(live_map) == []
    live_map.emulate_media(color_scheme="dark")
    live_map.wait_for_timeout(300)
    assert serious_violations(live_map) == []
    screenshot("live-map-dark")


def test_on_a_phone(live_map: Page, screenshot: Screenshot) -> None:
    live_map.set_viewport_size({"width": 390, "height": 844})
    live_map.reload()
    expect(live_map.locator(".row").first).to_be_visible()
    expect(live_map.locator("#map")).to_be_in_viewport()
    live_map.locator(".row button").first.click()
    expect(live_map.get_by_role("article", name="Chosen vehicle")).to_be_in_viewport()
    assert not overflows(live_map)
    screenshot("live-map-phone")


def test_before_there_is_a_vehicle(
    site: Site, browser_page: Page, complaints: Complaints, screenshot: Screenshot
) -> None:
    complaints.allowed.append(r"status of 404 .*/vehicles/demo/berlin-01/")
    run_in(
        site, "from fleet.models import User; User.objects.create_user('new@example.com', 'a-long-secret')"
    )
    log_in_as(browser_page, "new@example.com", "a-long-secret")
    expect(browser_page.get_by_text("No vehicles yet")).to_be_visible()
    expect(browser_page.get_by_text("No vehicle has reported yet.")).to_be_visible()
    until(browser_page, "document.querySelector('.leaflet-ground-pane canvas')")
    assert serious_violations(browser_page) == []
    screenshot("live-map-empty")
    browser_page.goto("/vehicles/demo/berlin-01/", wait_until="commit")
    expect(browser_page.get_by_text("Nothing here")).to_be_visible()
