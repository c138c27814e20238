"""Truthfulness: the truth is read by the report alone, and it is the truth that incidents are scored against."""

from dataclasses import replace

import pytest
from confluent_kafka import Producer
from rich.console import Console

from schemas.codec import Codec
from schemas.records import Truth
from streams import topics
from streams.outbox import producer_settings
from streams.reading import reading
from streams.replay import ReplayOptions, run_replay
from streams.report import Report, Scope, build_report
from streams.settings import Settings
from tests.streams.running import read_outputs

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

TEN_MINUTES_MS = 600_000
HERE = "truthless"


def report_of(settings: Settings, codec: Codec) -> Report:
    with reading(settings) as log:
        end = log.end()
    return build_report(settings, codec, Scope({}, end), seed=None, scored=True)


def detected(report: Report) -> dict[str, int]:
    return {kind: one.score.detected for kind, one in report.incidents.items() if one.score is not None}


def truths_of(settings: Settings, codec: Codec) -> list[Truth]:
    with reading(settings) as log:
        return [codec.read(one.value or b"", Truth) for one in log.read(topics.TRUTH, {}, log.end([topics.TRUTH]))]


@pytest.fixture(scope="module")
def truthless(original: Settings) -> Settings:
    """The same input, worked off by a run to which no truth was ever written."""
    run_replay(original, ReplayOptions(None, None, HERE, 0.0, None), Console(quiet=True))
    return original.with_run(HERE, "original")


def test_a_worker_without_truth_concludes_the_same_incidents(
    original: Settings, truthless: Settings, codec: Codec
) -> None:
    assert len(truths_of(original, codec)) > 5
    assert truths_of(truthless, codec) == []

    told, untold = read_outputs(original, codec), read_outputs(truthless, codec)

    assert len(told.changes) > 5
    assert told.changes == untold.changes
    assert told.incidents == untold.incidents
    assert told.tables == untold.tables


def test_truth_shifted_by_ten_minutes_is_never_detected(original: Settings, truthless: Settings, codec: Codec) -> None:
    found = detected(report_of(original, codec))
    assert found["crash"] > 0
    assert found["fire"] > 0

    producer = Producer(producer_settings(truthless.kafka))
    for truth in truths_of(original, codec):
        late = replace(truth, at_ms=truth.at_ms + TEN_MINUTES_MS)
        producer.produce(truthless.topic(topics.TRUTH), codec.encode(late), late.truth_id.encode())
    assert producer.flush(10) == 0
    shifted = report_of(truthless, codec)

    assert detected(shifted) == dict.fromkeys(found, 0)
    assert {kind: one.found for kind, one in shifted.incidents.items()} == {
        kind: one.found for kind, one in report_of(original, codec).incidents.items()
    }
