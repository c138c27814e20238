import os
import time
from dataclasses import replace

import pytest
from rich.console import Console

from schemas.codec import local_codec
from schemas.errors import Retryable
from schemas.records import Heartbeat
from streams import topics
from streams.ingest import told_waiting
from streams.sending import RecordSender, topic_of
from streams.settings import Settings


def nowhere(stackless: Settings) -> Settings:
    return replace(stackless, kafka_bootstrap_servers="127.0.0.1:9")


def test_waiting_for_kafka_is_told_and_nothing_is_given_up(
    stackless: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.ingest.SILENT_S", 0.3)
    settings = nowhere(stackless)
    console = Console(record=True, file=open(os.devnull, "w"), width=120)  # noqa: SIM115
    sender = RecordSender(settings, local_codec())
    with told_waiting(sender, settings, console):
        time.sleep(0.7)
        assert sender.silent_s == 0.0, "nothing waits yet"
        sender.send(Heartbeat(at_ms=1_772_434_800_000, device_id="C"))
        time.sleep(1.2)
    assert console.export_text().count("Kafka at 127.0.0.1:9 does not answer; waiting") == 1
    assert (sender.sent, sender.acknowledged) == (1, 0)
    sender.close(0.1)


def test_time_limit_ends_in_one_sentence(stackless: Settings) -> None:
    sender = RecordSender(nowhere(stackless), local_codec(), timeout_ms=300)
    sender.send(Heartbeat(at_ms=1_772_434_800_000, device_id="C"))
    with pytest.raises(Retryable, match=r"127\.0\.0\.1:9 did not take the records"):
        sender.close()


def test_heartbeat_is_a_cameras_unless_a_sensor_sent_it() -> None:
    beat = Heartbeat(at_ms=1, device_id="S")
    assert topic_of(beat) is topics.DETECTIONS
    assert topic_of(beat, frozenset({"S"})) is topics.READINGS
