"""Geofences in a browser: drawn, moved with the keyboard, typed, on the live map; at any width."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Complaints
from tests.e2e.test_vehicle_page import Screenshot
from tests.e2e.visitor import log_in, overflows, run_in, serious_violations, until
from tests.servers import Site

TIDY = "from fleet.models import Geofence; Geofence.objects.filter(name__startswith='Drawn').delete()"


@pytest.fixture
def editor(site: Site, browser_page: Page, complaints: Complaints) -> Iterator[Page]:
    complaints.allowed += [r"status of 400 .*/geofences/(new|import)"]
    log_in(browser_page, site)
    browser_page.goto("/fleets/demo/geofences/new")
    until(browser_page, "window.Convoy?.page?.map.getZoom() > 10")  # at the vehicles
    yield browser_page
    run_in(site, TIDY)


def click(page: Page, east: float, north: float) -> None:
    """So many pixels from the middle of the map."""
    box = page.locator("#map").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2 + east, box["y"] + box["height"] / 2 - north)


def geometry(page: Page) -> Any:
    return json.loads(page.get_by_label("Geometry (GeoJSON)").input_value())


def test_a_polygon_is_drawn_and_moved_by_keyboard(editor: Page, screenshot: Screenshot) -> None:
    page = editor
    page.get_by_label("Polygon", exact=True).check()
    for east, north in ((-120, -80), (110, -90), (120, 70), (-100, 80)):
        click(page, east, north)
    page.get_by_role("button", name="Finish").click()
    ring = geometry(page)["coordinates"][0]
    assert len(ring) == 5 and ring[0] == ring[-1]
    corner = page.get_by_role("button", name="Point 2 of 4")
    corner.focus()
    page.keyboard.press("ArrowRight")
    moved = geometry(page)["coordinates"][0]
    assert moved[1][0] > ring[1][0] and moved[0] == ring[0]
    expect(corner).to_be_focused()
    page.keyboard.press("Delete")
    assert len(geometry(page)["coordinates"][0]) == 4
    page.get_by_label("Name").fill("Drawn yard")
    screenshot("geofence-editor")
    assert not serious_violations(page)
    page.get_by_role("button", name="Add the geofence").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Drawn yard")
    until(page, "Boolean(window.Convoy?.page?.shape)")
    assert not serious_violations(page)
    screenshot("geofence")
    page.get_by_role("link", name="Geofences", exact=True).first.click()
    expect(page.get_by_role("link", name="Drawn yard")).to_be_visible()
    assert not serious_violations(page)
    screenshot("geofences")


def test_a_circle_is_drawn_and_stands_on_the_live_map(editor: Page, screenshot: Screenshot) -> None:
    page = editor
    click(page, 0, 0)
    click(page, 80, 0)
    radius = float(page.get_by_label("Radius, m").input_value())
    assert radius > 5 and geometry(page)["type"] == "Point"
    page.get_by_label("Radius, m").fill(str(radius * 2))
    page.get_by_label("Name").fill("Drawn circle")
    page.get_by_role("button", name="Add the geofence").click()
    expect(page.get_by_text("Drawn circle was added.")).to_be_visible()
    page.goto("/")
    page.get_by_label("Geofences").check()
    until(page, "Number(document.getElementById('show-geofences').dataset.count) >= 1")
    screenshot("live-map-geofences")
    page.reload()
    expect(page.get_by_label("Geofences")).to_be_checked()
    page.get_by_label("Geofences").uncheck()


def test_what_is_typed_is_drawn(editor: Page) -> None:
    page = editor
    page.get_by_label("Corridor", exact=True).check()
    expect(page.get_by_label("Radius, m")).to_be_hidden()
    line = '{"type": "LineString", "coordinates": [[13.52, 52.43], [13.53, 52.431], [13.54, 52.43]]}'
    page.get_by_label("Geometry (GeoJSON)").fill(line)
    expect(page.get_by_role("button", name="Point 3 of 3")).to_be_visible()
    page.get_by_label("Name").fill("Drawn route")
    page.get_by_label("Width, m").fill("2")
    page.get_by_role("button", name="Add the geofence").click()
    expect(page.get_by_text("Between 5 and 100,000 m.")).to_be_visible()
    expect(page.get_by_label("Geometry (GeoJSON)")).to_have_value(line)


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_screens(editor: Page, width: int) -> None:
    editor.set_viewport_size({"width": width, "height": 740})
    assert not overflows(editor)
    editor.goto("/fleets/demo/geofences")
    assert not overflows(editor)
    editor.goto("/fleets/demo/geofences/import")
    editor.get_by_label("Or text").fill('{"type": "Feature"}')
    editor.get_by_role("button", name="Add them").click()
    expect(editor.get_by_text("Nothing was added.")).to_be_visible()
    assert not overflows(editor)
