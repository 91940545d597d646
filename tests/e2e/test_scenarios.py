"""Scenarios as a manager uses them: find one, watch it, jump to what was noted, delete it."""

import base64
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.e2e.visitor import go_to, log_in, overflows, serious_violations, until
from tests.environment import PYTHON, ROOT
from tests.servers import Site

Screenshot = Callable[[str], Path]
RECORD = """async () => {
  const canvas = document.createElement("canvas");
  canvas.width = 320; canvas.height = 180;
  const pen = canvas.getContext("2d"), parts = [];
  const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: "video/webm;codecs=vp8" });
  recorder.ondataavailable = (event) => parts.push(event.data);
  const started = performance.now();
  recorder.start();
  while (performance.now() - started < 2500) {
    const at = (performance.now() - started) / 2500;
    pen.fillStyle = "#456"; pen.fillRect(0, 0, 320, 180);
    pen.fillStyle = "#fc6"; pen.fillRect(at * 300, 80, 20, 20);
    await new Promise((done) => setTimeout(done, 40));
  }
  await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  let text = ""; for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}"""


@pytest.fixture(scope="module")
def film(browser: Browser) -> bytes:
    """Two and a half seconds that the browser itself recorded."""
    page = browser.new_page()
    content = base64.b64decode(page.evaluate(RECORD))
    page.close()
    return content


@pytest.fixture(scope="module")
def device(site: Site) -> dict[str, str]:
    command = [PYTHON, "manage.py", "provision", "demo", "berlin-03"]
    done = subprocess.run(command, cwd=ROOT, env=site.env, check=True, capture_output=True, text=True)
    found = re.search(r"cvy_\w+_[\w-]+", done.stdout)
    assert found
    return {"Authorization": f"Bearer {found[0]}"}


def announce(site: Site, device: dict[str, str], name: str, **facts: object) -> str:
    body = {
        "scenario_id": name, "vehicle_id": "berlin-03", "timestamp": "2024-11-17T10:30:45Z", "duration": 20,
        "trigger": "hard_brake", "consent": True, "metadata": {"priority": "high", "weather": "rain"}, **facts,
    }  # fmt: skip
    reply = requests.post(f"{site.url}/api/v1/scenarios", json=body, headers=device, timeout=30)
    assert reply.status_code in {200, 201}, reply.text
    return f"{site.url}/api/v1/scenarios/{reply.json()['id']}"


@pytest.fixture
def recorded(site: Site, device: dict[str, str], film: bytes) -> str:
    """A scenario with two cameras; its address in the API."""
    address = announce(site, device, "2024-11-17_10-30-45")
    for camera in ("front", "rear"):
        reply = requests.post(
            f"{address}/videos", files={"file": (f"{camera}.webm", film)}, data={"camera": camera},
            headers=device, timeout=30,
        )  # fmt: skip
        assert reply.status_code in {200, 201}, reply.text
    notes = [
        {"timestamp": 0.4, "label": "pedestrian", "confidence": 0.93},
        {"timestamp": 1.5, "label": "brake"},
    ]
    requests.post(f"{address}/annotations", json={"annotations": notes}, headers=device, timeout=30)
    return address


def test_found_watched_and_sought(
    site: Site, recorded: str, browser_page: Page, screenshot: Screenshot
) -> None:
    log_in(browser_page, site)
    go_to(browser_page, "Scenarios")
    expect(browser_page.get_by_role("link", name="2024-11-17_10-30-45")).to_be_visible()
    screenshot("scenarios")
    assert serious_violations(browser_page) == []
    browser_page.get_by_role("link", name="2024-11-17_10-30-45").click()
    videos = browser_page.locator("video")
    expect(videos).to_have_count(2)
    for number in range(2):
        until(browser_page, f"document.querySelectorAll('video')[{number}].readyState >= 2")
    note = browser_page.get_by_role("button", name="0:01.5")
    note.focus()
    browser_page.keyboard.press("Enter")
    until(
        browser_page,
        "[...document.querySelectorAll('video')].every(v => Math.abs(v.currentTime - 1.5) < .05)",
    )
    expect(note).to_have_attribute("aria-current", "true")
    screenshot("scenario")
    assert serious_violations(browser_page) == []
    browser_page.emulate_media(color_scheme="dark")
    browser_page.wait_for_timeout(300)
    assert serious_violations(browser_page) == []
    browser_page.set_viewport_size({"width": 390, "height": 844})
    assert not overflows(browser_page)
    screenshot("scenario-phone-dark")


def test_filters(
    site: Site, device: dict[str, str], recorded: str, browser_page: Page, screenshot: Screenshot
) -> None:
    announce(site, device, "other", trigger="near_miss", timestamp="2024-12-01T08:00:00Z")
    log_in(browser_page, site)
    browser_page.goto("/scenarios/")
    rows = browser_page.locator("table.things tbody tr")
    expect(rows).to_have_count(2)
    browser_page.get_by_label("Trigger").select_option("near_miss")
    expect(rows).to_have_count(1)
    expect(browser_page).to_have_url(re.compile("trigger=near_miss"))
    browser_page.get_by_label("To").fill("2024-11-30")
    expect(browser_page.get_by_text("No scenario matches")).to_be_visible()
    screenshot("scenarios-none")
    browser_page.get_by_role("button", name="Show all scenarios").click()
    expect(rows).to_have_count(2)
    browser_page.set_viewport_size({"width": 390, "height": 844})
    assert not overflows(browser_page)


def test_deleted_after_a_question(
    site: Site, device: dict[str, str], recorded: str, browser_page: Page, screenshot: Screenshot
) -> None:
    address = announce(site, device, "to-delete")
    log_in(browser_page, site)
    browser_page.goto("/scenarios/" + address.rpartition("/")[2] + "/")
    expect(browser_page.get_by_text("No footage yet")).to_be_visible()
    browser_page.get_by_role("button", name="Delete …").click()
    screenshot("scenario-delete")
    assert serious_violations(browser_page) == []
    browser_page.get_by_role("button", name="Delete for good").click()
    expect(browser_page.get_by_role("status")).to_contain_text("to-delete and its footage are deleted.")
    expect(browser_page.get_by_role("link", name="to-delete")).to_have_count(0)
    assert requests.get(address, headers=device, timeout=30).status_code == 404
