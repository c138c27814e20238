"""What a worker tells of itself over HTTP."""

import urllib.request
from dataclasses import replace

import pytest

from streams import topics
from streams.admin import ensure_topics
from streams.health import Health
from streams.settings import Settings
from streams.workers import WorkerProcess, free_port

READ = (
    *topics.INPUTS, topics.DEVICES, topics.RULES, topics.OBSERVATIONS, topics.ROWS, topics.CHANGES,
    topics.NOTIFICATIONS,
)  # fmt: skip
"""What the agents of faust_app.py read."""


def test_a_waiting_partition_is_not_ready_and_lags() -> None:
    key = ("vehicle.positions.v1", 3)
    health = Health("")
    health.assigned({key: 10})
    assert health.unready() == []

    health.reached(key, 25)
    health.waits(key, "for schema 7: no schema registry answers")
    assert health.unready() == ["vehicle.positions.v1/3 waits for schema 7: no schema registry answers"]
    assert [one.lag for one in health.status().sources] == [15]

    health.waits(key, None)
    health.advanced(key, 25, 25)
    assert health.unready() == []
    assert [one.lag for one in health.status().sources] == [0]


def answer(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        return response.status, response.read().decode()


@pytest.mark.stack
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
        first = worker.process.pid
        worker.revive()
        assert worker.process.pid == first  # it runs: nothing to do
        worker.kill()
        worker.revive()
        worker.wait_ready(60)
        assert worker.process.pid != first
    finally:
        worker.stop()


@pytest.mark.stack
def test_a_worker_comes_back_under_its_name_at_another_address(stack_with_registry: Settings) -> None:
    settings = replace(stack_with_registry, run="moved", source_run="moved", worker_id="moved")
    ensure_topics(settings)
    for _ in range(2):
        worker = WorkerProcess(replace(settings, web_port=free_port()))
        try:
            worker.wait_ready(60)
            told = worker.status()
        finally:
            worker.kill()
        assert told is not None
        # Every partition it reads, at once: nothing waits for the dead one.
        assert len(told.sources) == sum(topic.partitions for topic in READ)
