"""A real Chromium that looks at a real worker while a simulated city is fed to it at the clock's pace."""

import importlib.util
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from confluent_kafka import Producer
from playwright.sync_api import Browser, Page, sync_playwright

from processors.city import City, Device
from processors.simulate import Sent, Simulation, SimulationRule
from schemas.codec import Codec
from schemas.ids import shard_of
from schemas.records import CameraDetection
from streams import topics
from streams.feed import TICK_MS, Feeder
from streams.outbox import producer_settings
from streams.settings import Settings

PROJECT: Final = Path(__file__).parents[2]
CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
NAN: Final = float("nan")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def backend() -> ModuleType:
    """Return the build backend, which is not importable by name outside a build."""
    path = PROJECT / "streams" / "page" / "hook" / "page_backend.py"
    spec = importlib.util.spec_from_file_location("page_backend", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the Chromium of this machine; skip where there is none."""
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on the PATH to look at the page with (Debian, Ubuntu: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass(slots=True)
class Watched:
    """A page and everything it asked for and complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def opened(cls, browser: Browser, width: int = 1280, height: int = 720, **context: Any) -> "Watched":
        """Open an empty page whose requests and complaints are noted."""
        page = browser.new_page(viewport={"width": width, "height": height}, **context)
        one = cls(page)
        page.on("request", lambda request: one.requests.append(request.url))
        page.on("pageerror", lambda error: one.complaints.append(str(error)))
        page.on("console", lambda message: one._note(message.type, message.text))
        return one

    def incident_ids(self) -> list[str]:
        """Return the ids of the list's rows, from top to bottom."""
        ids: list[str] = self.page.eval_on_selector_all("button.row", "rows => rows.map(row => row.dataset.incident)")
        return ids

    def until(self, expression: str, given: Any = None, within_s: float = 20.0) -> None:
        """Wait for an expression to come true; from outside, since the page's own policy forbids it to evaluate."""
        give_up_at_s = time.monotonic() + within_s
        while not self.page.evaluate(expression, given):
            assert time.monotonic() < give_up_at_s, expression
            self.page.wait_for_timeout(100)

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


class LiveFeed:
    """A simulated city with its ticks, from now on, at the clock's pace, until it is ended."""

    def __init__(self, settings: Settings, codec: Codec, city: City, seed: int, **rule: Any) -> None:
        now_ms = time.time_ns() // 1_000_000
        self._settings, self._codec = settings, codec
        simulation = Simulation(city, seed, now_ms - now_ms % TICK_MS, SimulationRule(**rule), None)
        self._feeder = Feeder(settings, codec, simulation, 1.0, ticks=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feeder.run, args=(None, self._stop), daemon=True)
        self._thread.start()

    @property
    def tick_ms(self) -> int:
        """Event time of the newest tick."""
        return self._feeder.tick_ms

    def send(self, sent: Sequence[Sent]) -> None:
        """Append more records, each to the partition of its device."""
        partitions = {topic.name: topic.partitions for topic in topics.INPUTS}
        names = {topic.name: self._settings.topic(topic) for topic in topics.INPUTS}
        producer = Producer(producer_settings(self._settings.kafka))
        for one in sent:
            value, partition = self._codec.encode(one.record), shard_of(one.key) % partitions[one.topic]
            producer.produce(names[one.topic], value, one.key, partition=partition)
        assert producer.flush(10) == 0

    def crash(self, camera: Device) -> None:
        """Let a camera of the estate see a crash twice: one observation, hence a suspected crash."""
        for after_ms in (-1_500, 500):
            seen = CameraDetection(
                at_ms=self.tick_ms + after_ms,
                latitude_deg=camera.latitude_deg,
                longitude_deg=camera.longitude_deg,
                confidence=0.9,
                speed_mps=NAN,
                bearing_deg=NAN,
                box_left=NAN,
                box_top=NAN,
                box_right=NAN,
                box_bottom=NAN,
                camera_id=camera.device_id,
                kind="crash",
            )
            self.send([Sent(topics.DETECTIONS.name, camera.device_id, seen)])

    def end(self) -> None:
        """Send nothing more."""
        self._stop.set()
        self._thread.join(10)
