"""Makes the pictures of docs/page.md from a simulated morning, on a stack of its own.

python -m tests.page.pictures
"""

import json
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

from processors.simulate.inject import exercise
from streams.registry import load_codec
from streams.session import city_of
from streams.stack import start_stack
from streams.workers import WorkerProcess
from tests.conftest import settings_in
from tests.page.browsing import PROJECT, Watched, backend, chromium
from tests.streams.running import READY_S, START_MS, PacedFeed, Wire, make_ready, run_settings, simulated

IMAGES: Final = PROJECT / "docs" / "images"
SEED: Final = 3
VEHICLES: Final = 1000
SPEED: Final = 1.0
WITHIN_S: Final = 400.0
EXERCISE_AFTER_MS: Final = 20_000
EXERCISE_AT: Final = 21.0379, 105.7823


def main() -> None:
    """Start everything, wait for what is to be seen, and look."""
    backend().build_page()
    with tempfile.TemporaryDirectory() as home, chromium() as browser:
        stack = start_stack(settings_in(Path(home)))
        settings = run_settings(stack.settings, "pictures")
        make_ready(settings)
        city, codec = city_of(settings), load_codec(settings)
        simulation = simulated(city, SEED, 3600, vehicles=VEHICLES, crashes_per_hour=150.0, fires_per_hour=60.0)
        worker = WorkerProcess(settings)
        try:
            worker.wait_ready(READY_S)
            with PacedFeed(settings, codec, simulation, 3600, SPEED) as feed:
                feed.allow(3600)
                cues = exercise("fire", *EXERCISE_AT, START_MS + EXERCISE_AFTER_MS, 7, city)
                wire = Wire(settings, codec)
                wire.records(cue.sent for cue in cues)
                watched = Watched.opened(browser, 1360, 820, locale="en-GB")
                watched.page.goto(settings.web_url)
                _look(watched.page, _wait_for_crash(settings.web_url))
        finally:
            worker.stop()
            stack.stop()


def _wait_for_crash(url: str) -> str:
    """Return the id of a crash confirmed near lines, with trips due, once the exercise is there as well."""
    give_up_at_s = time.monotonic() + WITHIN_S
    while True:
        with urllib.request.urlopen(f"{url}/api/incidents", timeout=10) as answer:
            incidents: list[dict[str, Any]] = json.loads(answer.read())["incidents"]
        crashes = [one for one in incidents if one["kind"] == "crash" and one["state"] == "CONFIRMED"]
        told = [one for one in crashes if len(one["evidence"]) > 2 and len(one["due_trips"]) > 2]
        if told and len(incidents) > 5 and any(one["exercise"] for one in incidents):
            return str(max(told, key=lambda one: len({line["line_id"] for line in one["lines"]}))["incident_id"])
        assert time.monotonic() < give_up_at_s, f"only {len(incidents)} incidents, {len(crashes)} confirmed crashes"
        time.sleep(1)


def _look(page: Page, incident_id: str) -> None:
    page.get_by_text("Legend and layers").click()
    page.locator("[data-fact='lag'] .good").wait_for(timeout=WITHIN_S * 1000)
    page.wait_for_timeout(3000)
    page.screenshot(path=IMAGES / "page-city.png")
    page.get_by_text("Kinds of incidents").click()
    page.locator(".legend").screenshot(path=IMAGES / "page-kinds.png")
    page.get_by_text("Legend and layers").click()
    page.locator(f"button.row[data-incident='{incident_id}']").click()
    detail = page.get_by_role("complementary", name="Selected incident")
    detail.get_by_label("Operator").fill("Nguyễn Thị Lan")
    detail.get_by_label("Note").fill("seen on the camera, two cars")
    detail.get_by_role("button", name="Acknowledge").click()
    detail.locator(".decided").wait_for(timeout=WITHIN_S * 1000)
    page.wait_for_timeout(3000)
    page.screenshot(path=IMAGES / "page-crash.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Whole city").click()
    page.locator("button.row").first.scroll_into_view_if_needed()
    page.wait_for_timeout(2000)
    page.screenshot(path=IMAGES / "page-phone.png")


if __name__ == "__main__":
    main()
