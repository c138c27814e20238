"""A checkpoint that another version wrote: one sentence and a clean end, never a traceback or an endless restart."""

import asyncio

import msgspec
import pytest

from processors.checkpoint import Checkpoint
from processors.history import Part
from schemas.errors import UsageError
from streams import topics
from streams.checkpoints import CheckpointStore
from streams.outbox import Outbox
from streams.settings import Settings
from streams.workers import REFUSED, WorkerProcess
from tests.streams.running import READY_S, make_ready, run_settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

SENTENCE = (
    "the checkpoint of vehicle.positions.v1/0 in run 'refused' was written by another version of cityops and cannot be "
    "read: begin a run of another name (CITYOPS_RUN) or another home (CITYOPS_HOME)"
)


def write_checkpoint_of_format_1(settings: Settings) -> None:
    name = "VehiclePosition/0"
    part = msgspec.msgpack.encode(Part(1, "VehiclePosition", ()))
    outbox = Outbox(settings.kafka)
    try:
        store = CheckpointStore(settings.kafka, settings.topic(topics.CHECKPOINTS), outbox)
        checkpoint = Checkpoint(next_offset=0, tick_ms=1, new_parts={name: part}, live=(name,), dropped=())
        asyncio.run(store.write((topics.POSITIONS.name, 0), checkpoint))
    finally:
        outbox.close()


def test_a_checkpoint_of_another_version_ends_the_worker_with_one_sentence(
    stack_with_registry: Settings,
) -> None:
    settings = run_settings(stack_with_registry, "refused")
    make_ready(settings)
    write_checkpoint_of_format_1(settings)

    worker = WorkerProcess(settings)
    try:
        with pytest.raises(UsageError) as told:
            worker.wait_ready(READY_S)
        with pytest.raises(UsageError) as again:
            worker.revive()
    finally:
        worker.stop()

    said = worker.log_path.read_text()
    assert str(told.value) == str(again.value) == SENTENCE
    assert worker.process.returncode == REFUSED
    assert said.splitlines()[-1] == f"cityops: {SENTENCE}"
    assert "has format 1" in said
    assert "Traceback" not in said
