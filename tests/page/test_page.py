"""The operators' page in Chromium, on a real worker: what is seen, what is sent, what is never asked for."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from processors.city import Device
from processors.simulate.inject import exercise
from streams.registry import load_codec
from streams.session import city_of
from streams.settings import Settings
from streams.workers import WorkerProcess
from tests.page.browsing import LiveFeed, Watched, backend, chromium
from tests.streams.running import READY_S, make_ready, run_settings

pytestmark = pytest.mark.stack

OPERATOR = "Nguyễn Thị Lan"
SLOW_MS = 60_000
"""As long as a busy machine may take from a record to the page."""
OUTAGE = re.compile(
    r"ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED|503"
)
"""What a browser says of a worker that is gone, whenever in a request it went."""
EXERCISE_AT = 21.0285, 105.8542


@dataclass(slots=True)
class Room:
    """A control room: a worker, what is fed to it, and a page that watches."""

    settings: Settings
    worker: WorkerProcess
    feed: LiveFeed
    watched: Watched
    cameras: list[Device]

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.settings.web_url}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def new_crash(self) -> Locator:
        """Let the next camera see a crash; return its row in the list."""
        camera = self.cameras.pop()
        self.feed.crash(camera)
        found: list[str] = []
        give_up_at_s = time.monotonic() + SLOW_MS / 1000
        while not found:
            assert time.monotonic() < give_up_at_s, f"no incident for {camera.device_id}"
            self.watched.page.wait_for_timeout(100)
            found = [
                one["incident_id"]
                for one in self.ask("/api/incidents")["incidents"]
                if camera.device_id in {evidence["device_id"] for evidence in one["evidence"]}
            ]
        row = self.watched.page.locator(f"button.row[data-incident='{found[0]}']")
        expect(row).to_be_visible(timeout=SLOW_MS)
        return row

    def detail(self) -> Locator:
        return self.watched.page.get_by_role("complementary", name="Selected incident")

    def decide(self, row: Locator, button: str, note: str) -> str:
        """Open an incident, decide on it as the operator, and return its id once a revision says so."""
        incident_id = row.get_attribute("data-incident")
        assert incident_id is not None
        row.click()
        detail = self.detail()
        detail.get_by_label("Operator").fill(OPERATOR)
        detail.get_by_label("Note").fill(note)
        detail.get_by_role("button", name=button).click()
        expect(detail.locator(".pending")).to_contain_text("sent")
        expect(detail.locator(".decided")).to_contain_text(OPERATOR, timeout=SLOW_MS)
        expect(detail.locator(".pending")).to_have_count(0)
        expect(detail.locator(".mistake")).to_have_count(0)
        return incident_id


@pytest.fixture(scope="module")
def room(stack_with_registry: Settings) -> Iterator[Room]:
    backend().build_page()
    settings = run_settings(stack_with_registry, "page")
    make_ready(settings)
    city, codec = city_of(settings), load_codec(settings)
    with chromium() as browser:
        worker = WorkerProcess(settings)
        feed = LiveFeed(settings, codec, city, 3, vehicles=300)
        try:
            worker.wait_ready(READY_S)
            watched = Watched.opened(browser, reduced_motion="reduce")
            watched.page.goto(settings.web_url)
            one = Room(settings, worker, feed, watched, list(city.cameras.values())[::50])
            yield one
        finally:
            feed.end()
            one.worker.stop()


def test_page_shows_the_city_live(room: Room) -> None:
    page = room.watched.page
    expect(page.get_by_role("heading", level=1)).to_contain_text("Hà Nội")
    expect(page.locator(".bar [data-connection]")).to_have_text("live")
    room.watched.until("document.querySelector('[data-vehicles]').dataset.vehicles > 200", within_s=60)
    expect(page.locator("[data-fact='positions/s'] dd")).to_have_text(re.compile(r"^\d+$"), timeout=SLOW_MS)
    now = time.strftime("%H:%M", time.gmtime(room.feed.tick_ms / 1000 + 7 * 3600))
    assert page.locator("[data-fact='event time'] dd").inner_text().startswith(now[:3])


def test_nothing_is_well_before_the_worker_said_so(room: Room) -> None:
    browser = room.watched.page.context.browser
    assert browser is not None
    watched = Watched.opened(browser)
    watched.page.route("**/api/stream*", lambda route: None)  # neither answered nor refused
    watched.page.goto(room.settings.web_url)
    expect(watched.page.locator(".bar [data-connection]")).to_have_text("connecting")
    expect(watched.page.locator(".rows")).to_have_text("Connecting…")
    for fact in ("lag", "ClickHouse", "worker"):
        expect(watched.page.locator(f"[data-fact='{fact}'] .lamp.unknown")).to_have_text("connecting")
    expect(watched.page.locator(".lamp.good")).to_have_count(0)
    watched.page.close()


def test_vehicles_move_on_the_map(room: Room) -> None:
    drawn = "document.querySelector('.vehicles canvas').toDataURL()"
    before = room.watched.page.evaluate(drawn)
    room.watched.until(f"before => {drawn} !== before", before, within_s=5)
    assert room.watched.complaints == []


def test_incident_arrives_by_the_stream(room: Room) -> None:
    page = room.watched.page
    known, asked = set(room.watched.incident_ids()), len(room.watched.requests)
    row = room.new_crash()
    assert row.get_attribute("data-incident") not in known
    expect(row).to_contain_text("Crash suspected")
    assert room.watched.requests[asked:] == []  # the page asked for nothing: it was told
    expect(page.locator("[aria-live]").filter(has_text=re.compile("crash|fire", re.I)).first).to_be_attached()


def test_selected_incident_tells_evidence_and_reasons(room: Room) -> None:
    row = room.watched.page.locator("button.row").first
    incident_id = row.get_attribute("data-incident")
    row.click()
    detail = room.detail()
    told = room.ask(f"/api/incidents/{incident_id}")
    expect(detail.locator(".place")).to_have_text(told["incident"]["place"])
    for device in {one["device_id"] for one in told["incident"]["evidence"]}:
        expect(detail.locator(".evidence")).to_contain_text(device)
    for change in told["changes"]:
        for reason in change["reasons"]:
            expect(detail.locator(f"[data-revision='{change['incident']['revision']}']")).to_contain_text(reason)
    assert room.watched.page.url.endswith(f"#incident={incident_id}")


def test_incident_is_found_on_the_map(room: Room) -> None:
    page = room.watched.page
    page.locator("button.row").first.click()
    shown = room.detail().get_attribute("data-incident")
    page.keyboard.press("Escape")
    expect(room.detail()).to_have_count(0)
    give_up_at_s = time.monotonic() + SLOW_MS / 1000
    while room.detail().count() == 0:  # the map is wider now and is, in a while, drawn again around the same place
        assert time.monotonic() < give_up_at_s, "nothing is found in the middle of the map"
        box = page.locator(".map .canvas").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_timeout(500)
    expect(room.detail()).to_have_attribute("data-incident", shown or "")


def test_keyboard_alone_reaches_an_incident(room: Room) -> None:
    page = room.watched.page
    page.keyboard.press("Escape")  # what another test has opened
    expect(room.detail()).to_have_count(0)
    page.get_by_role("searchbox").focus()
    for _ in range(5):
        page.keyboard.press("Tab")
    page.keyboard.press("End")
    row = page.evaluate("document.activeElement.dataset.incident")
    assert row == room.watched.incident_ids()[-1]
    page.keyboard.press("Enter")
    expect(room.detail()).to_have_attribute("data-incident", row)
    expect(room.detail().locator("h2").first).to_be_focused()
    page.locator(f'button[data-incident="{row}"]').focus()
    page.keyboard.press("Enter")  # on the row of the incident that is open already
    expect(room.detail().locator("h2").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(room.detail()).to_have_count(0)
    assert page.evaluate("document.activeElement.dataset.incident") == row


def test_list_is_filtered_without_marks(room: Room) -> None:
    page = room.watched.page
    page.get_by_label("Kind").select_option("fire")
    expect(page.locator("button.row .kind").filter(has_text="Crash")).to_have_count(0)
    page.get_by_label("Kind").select_option("")
    page.get_by_role("searchbox").fill("no such place")
    expect(page.locator("button.row")).to_have_count(0)
    place = page.evaluate("document.querySelector('.rows').innerText")
    assert place == "No incident matches the filter."
    page.get_by_role("searchbox").fill("")
    expect(page.locator("button.row").first).to_be_visible()


def test_a_decision_needs_a_name(room: Room) -> None:
    room.watched.page.locator("button.row").first.click()
    asked = len(room.watched.requests)
    room.detail().get_by_label("Operator").fill(" ")
    room.detail().get_by_role("button", name="Confirm").click()
    expect(room.detail().get_by_role("alert")).to_have_text("Who decides? Enter your name first.")
    assert not any(url.endswith("/actions") for url in room.watched.requests[asked:])


def test_confirmation_comes_back_with_the_operators_name(room: Room) -> None:
    incident_id = room.decide(room.new_crash(), "Confirm", "thấy trên camera")
    expect(room.detail().locator("header .state")).to_have_text("confirmed")
    told = room.ask(f"/api/incidents/{incident_id}")["incident"]
    assert [(one["decision"], one["operator"], one["note"]) for one in told["actions"]] == [
        ("CONFIRM", OPERATOR, "thấy trên camera")
    ]
    expect(room.detail().locator(f"[data-revision='{told['revision']}']")).to_contain_text(OPERATOR)


def test_dismissed_incident_is_over(room: Room) -> None:
    incident_id = room.decide(room.new_crash(), "Dismiss", "")
    expect(room.detail().locator("header .state")).to_have_text("dismissed")
    expect(room.watched.page.locator(f"button.row.over[data-incident='{incident_id}']")).to_have_count(1)


def test_an_incident_is_assigned_commented_on_and_resolved(room: Room) -> None:
    row = room.new_crash()
    row.click()
    detail = room.detail()
    detail.get_by_label("Operator").fill(OPERATOR)
    asked = len(room.watched.requests)
    for button, words in (("Assign", "To whom? Enter an agency or a person."), ("Comment", "Enter the comment first.")):
        detail.get_by_role("button", name=button).click()
        expect(detail.get_by_role("alert")).to_have_text(words)
    assert not any(url.endswith("/actions") for url in room.watched.requests[asked:])
    detail.get_by_label("Assign to").fill("Đội CSGT số 1")
    detail.get_by_role("button", name="Assign").click()
    expect(detail.locator("header .assigned")).to_have_text("for Đội CSGT số 1", timeout=SLOW_MS)
    expect(row.locator(".assigned")).to_have_text("for Đội CSGT số 1")
    detail.get_by_label("Note").fill("tow truck is on its way")
    detail.get_by_role("button", name="Comment").click()
    expect(detail.locator(".decided")).to_contain_text("tow truck is on its way", timeout=SLOW_MS)
    detail.get_by_role("button", name="Resolve").click()
    expect(detail.locator("header .state")).to_have_text("resolved", timeout=SLOW_MS)
    told = room.ask(f"/api/incidents/{row.get_attribute('data-incident')}")["incident"]
    assert [one["decision"] for one in told["actions"]] == ["ASSIGN", "COMMENT", "RESOLVE"]
    assert (told["assigned_to"], told["state"]) == ("Đội CSGT số 1", "RESOLVED")


def test_the_legend_shows_every_kind_with_its_own_sign(room: Room) -> None:
    page = room.watched.page
    page.keyboard.press("Escape")
    page.get_by_text("Legend and layers").click()
    page.get_by_text("Kinds of incidents").click()
    shown = page.locator(".kinds [data-kind]")
    kinds = {one["kind"] for one in room.ask("/api/rules")}
    assert set(shown.evaluate_all("all => all.map(one => one.dataset.kind)")) == kinds
    assert len(set(shown.locator("path").evaluate_all("all => all.map(one => one.getAttribute('d'))"))) == len(kinds)
    expect(page.locator(".kinds [data-kind='gas_leak']")).to_have_text("Gas leak")
    page.get_by_text("Legend and layers").click()


def test_exercise_is_marked_everywhere(room: Room) -> None:
    page = room.watched.page
    cues = exercise("fire", *EXERCISE_AT, room.feed.tick_ms, 7, city_of(room.settings))
    room.feed.send([cue.sent for cue in cues])
    row = page.locator("button.row.exercise")
    expect(row).to_have_count(1, timeout=SLOW_MS)
    expect(row).to_contain_text("EXERCISE")
    row.click()
    expect(room.detail()).to_contain_text("EXERCISE · not a real incident")
    device = room.detail().locator(".evidence .device").first
    expect(device).to_have_attribute("title", re.compile(r"^exercise:fire-\w+:"))
    expect(device).not_to_contain_text("exercise:")
    shown = {one["incident_id"]: one["exercise"] for one in room.ask("/api/incidents")["incidents"]}
    assert [incident_id for incident_id, marked in shown.items() if marked] == [row.get_attribute("data-incident")]


def test_page_goes_on_after_the_worker_came_back(room: Room) -> None:
    page = room.watched.page
    before = set(room.watched.incident_ids())
    assert room.watched.complaints == []
    room.worker.kill()
    expect(page.locator(".bar [data-connection]")).to_contain_text("reconnecting")
    room.worker = WorkerProcess(room.settings)
    room.worker.wait_ready(READY_S)
    expect(page.locator(".bar [data-connection]")).to_have_text("live", timeout=SLOW_MS)
    assert room.new_crash().get_attribute("data-incident") not in before
    room.feed.end()  # nothing new may come between the two looks
    page.wait_for_timeout(1500)
    told = {one["incident_id"] for one in room.ask("/api/incidents")["incidents"] if one["state"] != "WITHDRAWN"}
    shown = room.watched.incident_ids()
    assert sorted(shown) == sorted(told)  # none missing, none twice
    assert [text for text in room.watched.complaints if not OUTAGE.search(text)] == []


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (3840, 2160), (390, 844)])
def test_page_fits_the_screen(room: Room, width: int, height: int) -> None:
    page = room.watched.page
    page.set_viewport_size({"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= height


def test_page_asks_nobody_else(room: Room) -> None:
    elsewhere = [url for url in room.watched.requests if not url.startswith((f"{room.settings.web_url}/", "data:"))]
    assert room.watched.requests
    assert elsewhere == []
