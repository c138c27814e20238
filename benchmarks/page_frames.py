"""Frames a second of the operators' page with many vehicles in view, all moving.

python -m benchmarks.page_frames [VEHICLES]

The built page in a headless Chromium without a GPU (everything is drawn by the processor), fed from here instead of by
a worker: two positions for each vehicle, so that all glide for as long as is measured. It checks that they moved.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.sync_api import Route

from processors.city import load_city
from processors.city_map import encode_city
from tests.page.browsing import PROJECT, Watched, backend, chromium

DIST: Final = PROJECT / "streams" / "page" / "dist"
ORIGIN: Final = "http://127.0.0.1:9"
MIDDLE: Final = 105.84, 21.02
SPREAD_DEG: Final = 0.006
FOR_S: Final = 8.0
CLASSES: Final = ("BUS", "TAXI", "RIDE_HAILING", "COACH")
KINDS: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

MEASURE: Final = """seconds => new Promise(done => {
  const gaps = [], began = performance.now();
  let last = began;
  const step = now => {
    gaps.push(now - last);
    last = now;
    now - began < seconds * 1000 ? requestAnimationFrame(step) : done(gaps);
  };
  requestAnimationFrame(step);
})"""
DRAWN: Final = "document.querySelector('.vehicles canvas').toDataURL()"
COUNT_DRAWN: Final = """() => {
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  window.drawn = 0;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    if (this.canvas.parentElement?.className === "vehicles") window.drawn += 1;
    return clear.apply(this, box);
  };
}"""


def main(vehicles: int) -> None:
    """Measure and print."""
    backend().build_page()
    city = encode_city(load_city(PROJECT / "cities" / "hanoi"))
    stream = _stream(vehicles)

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN).split("?")[0].split("#")[0]
        if path == "/api/city":
            route.fulfill(body=city, content_type="application/json")
        elif path == "/api/stream":
            route.fulfill(body=stream, content_type="text/event-stream")
        elif path.startswith("/api/"):
            route.fulfill(body='{"changes": []}', content_type="application/json")
        else:
            file = DIST / (path.lstrip("/") or "index.html")
            route.fulfill(body=file.read_bytes(), content_type=KINDS.get(Path(file).suffix, "text/plain"))

    with chromium() as browser:
        for place, words in (("", "the whole city"), ("#incident=i-middle", "three kilometres")):
            watched = Watched.opened(browser, 1920, 1080)
            watched.page.route("**/*", answer)
            watched.page.goto(f"{ORIGIN}/{place}")
            watched.until(f"document.querySelector('[data-vehicles]')?.dataset.vehicles === '{vehicles}'")
            watched.page.wait_for_timeout(2000)
            print(f"{vehicles:,} vehicles, {words} in view: {_measure(watched)}")
            watched.page.close()


def _measure(watched: Watched) -> str:
    watched.page.evaluate(COUNT_DRAWN)
    before = watched.page.evaluate(DRAWN)
    gaps = np.array(watched.page.evaluate(MEASURE, FOR_S)[1:])
    drawn = watched.page.evaluate("window.drawn") / FOR_S
    assert watched.page.evaluate(DRAWN) != before, "nothing moved"
    return (
        f"{1000 / gaps.mean():.0f} frames/s (99 % within {np.percentile(gaps, 99):.0f} ms), "
        f"vehicles drawn {drawn:.0f} times a second"
    )


def _stream(vehicles: int) -> str:
    rng = np.random.default_rng(1)
    at_ms = time.time_ns() // 1_000_000
    places = np.array(MIDDLE) + rng.uniform(-SPREAD_DEG, SPREAD_DEG, (vehicles, 2))
    moves = rng.uniform(-0.002, 0.002, (vehicles, 2))

    def told(now: Any, now_ms: int) -> str:
        bearing = np.degrees(np.arctan2(moves[:, 0], moves[:, 1])) % 360
        rows = [
            [f"v-{index}", *now[index].round(6).tolist(), bearing[index], 8.0, "", CLASSES[index % 4], now_ms]
            for index in range(vehicles)
        ]
        return f"event: vehicles\ndata: {json.dumps({'at_ms': now_ms, 'vehicles': rows})}\n\n"

    reset = {"cursor": 0, "incidents": [_incident(at_ms)]}
    first = f"retry: 600000\n\nid: 0\nevent: reset\ndata: {json.dumps(reset)}\n\n"
    return first + told(places, at_ms) + told(places + moves, at_ms + 60_000)


def _incident(at_ms: int) -> dict[str, Any]:
    lists: dict[str, Any] = {name: [] for name in ("replaces", "lines", "stop_ids", "due_trips", "evidence", "actions")}
    texts = dict.fromkeys(("unit_name", "merged_into"), "")
    times = dict.fromkeys(("opened_at_ms", "last_evidence_at_ms", "tick_ms"), at_ms)
    return {
        **lists,
        **texts,
        **times,
        "latitude_deg": MIDDLE[1],
        "longitude_deg": MIDDLE[0],
        "radius_m": 30.0,
        "score": 0.5,
        "revision": 1,
        "witnesses": 1,
        "provisional": False,
        "exercise": False,
        "state": "SUSPECTED",
        "severity": "MINOR",
        "incident_id": "i-middle",
        "kind": "crash",
        "place": "the middle of the measurement",
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
