"""What a worker tells of itself over HTTP."""

import urllib.request
from dataclasses import replace

import pytest

from streams.admin import ensure_topics
from streams.settings import Settings
from streams.workers import WorkerProcess, free_port

pytestmark = pytest.mark.stack


def answer(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        return response.status, response.read().decode()


def test_a_worker_answers_on_its_pages(stack_with_registry: Settings) -> None:
    settings = replace(stack_with_registry, run="health", source_run="health", web_port=free_port(), worker_id="health")
    ensure_topics(settings)
    worker = WorkerProcess(settings)
    try:
        worker.wait_ready(60)
        assert answer(settings.web_port, "/healthz") == (200, "ok\n")
        assert answer(settings.web_port, "/readyz") == (200, "ready\n")
        status, metrics = answer(settings.web_port, "/metrics")
        assert status == 200
        for name in ("cityops_lag_records", "cityops_sink_waiting 0.0", "cityops_records_total", "cityops_sink_delay"):
            assert name in metrics
        told = worker.status()
        assert told is not None
        assert told.run == "health"
        assert {one.topic for one in told.sources} >= {"vehicle.positions.v1", "observations.v1", "rows.v1"}
    finally:
        worker.stop()
