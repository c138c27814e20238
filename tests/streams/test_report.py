import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaProducer
from rich.console import Console

from processors.score import KindScore
from schemas.codec import local_codec
from schemas.records import Change, IncidentState, Tick, Truth
from schemas.tables import TABLES
from sinks.clickhouse.migrations import migrate
from streams import topics
from streams.accounting import Accounts, TableAccount, TopicAccount
from streams.admin import ensure_topics
from streams.latency import Latency
from streams.reading import reading
from streams.recorded import SentSummary
from streams.report import IncidentCount, Report, Scope, as_json, build_report, render, write_report
from streams.settings import Settings
from tests.streams.incidents import AT_MS, change, incident

POSITIONS = topics.POSITIONS.name


def topic_account(records: int = 10) -> TopicAccount:
    return TopicAccount(
        records=records, used=records - 3, duplicate=1, rejected=1, forwarded=1, waiting=0, ticks=4,
        missing=0, several=0, wrong=(),
    )  # fmt: skip


def report(reasons: tuple[str, ...] = (), sent: SentSummary | None = None) -> Report:
    return Report(
        run="live",
        seed=7,
        from_ms=AT_MS,
        to_ms=AT_MS + 60_000,
        accounts=Accounts(
            topics={topic.name: topic_account() for topic in topics.INPUTS},
            rejected={"late": 3},
            tables={name: TableAccount(5, 5) for name in TABLES},
            reasons=reasons,
        ),
        observations={"hard_stop": 4},
        incidents={"crash": IncidentCount(3, KindScore(2, 2, 1, 4.25)), "fire": IncidentCount(1, None)},
        latency=Latency(6, 180.0, 320.5) if sent is None else None,
        sent=sent,
    )


def test_json_has_the_published_keys(tmp_path: Path) -> None:
    path = tmp_path / "out" / "report.json"
    write_report(report(), path)
    told = json.loads(path.read_text(encoding="utf-8"))
    assert {
        name: told["records"][POSITIONS][name] for name in ("in", "used", "duplicate", "rejected", "forwarded")
    } == {
        "in": 10,
        "used": 7,
        "duplicate": 1,
        "rejected": 1,
        "forwarded": 1,
    }
    assert told["rejected"] == {"late": 3}
    assert told["observations"] == {"hard_stop": 4}
    assert told["incidents"]["crash"] == {
        "found": 3,
        "truth": 2,
        "detected": 2,
        "missed": 0,
        "not_judged": 0,
        "false": 1,
        "median_time_to_detect_s": 4.25,
    }
    assert told["kinds"]["played"] == told["kinds"]["detected"] == ["crash"]
    assert told["kinds"]["not_played"]["noise"] == "takes up to 60 min"
    assert told["incidents"]["fire"]["found"] == 1
    assert told["incidents"]["fire"]["truth"] is None
    assert told["clickhouse"]["positions"] == {"written": 5, "stored": 5}
    assert (told["latency_ms"]["p50"], told["latency_ms"]["p99"]) == (180.0, 320.5)
    assert (told["balances"], told["run"], told["seed"]) == (True, "live", 7)
    assert told["from"] == "2023-11-14T22:13:20.000+00:00"


def shown(one: Report) -> str:
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(render(one))
    return console.export_text()


def test_terminal_shows_the_verdict_and_its_reasons() -> None:
    assert "everything is accounted for" in shown(report())
    assert "p50 180 ms, p99 320 ms over 6 changes" in shown(report())
    assert "kinds: 1 played, 1 detected" in shown(report())
    told = shown(report(("1 records of x are in no account",)))
    assert "the accounting does not balance:\n1 records of x are in no account" in told


def test_recorded_positions_that_did_not_arrive_unbalance_it() -> None:
    sent = SentSummary(
        rows=36, placed=2, registrations=4, sent=36, refused=2, first_at_ms=AT_MS, last_at_ms=AT_MS, ticks=5
    )
    good = report(sent=sent)
    assert good.balances
    assert as_json(good)["recorded"]["refused"] == 2
    assert as_json(good)["latency_ms"] is None
    assert "36 rows, 2 lines refused" in shown(good)
    lost = report(sent=replace(sent, sent=37))
    assert not lost.balances
    assert "41 records were sent, 40 arrived" in as_json(lost)["reasons"]


@pytest.mark.stack
def test_incidents_of_a_real_run_are_scored_within_its_scope(stack: Settings) -> None:
    run = stack.with_run("report-test", "report-test")
    ensure_topics(run)
    migrate(run.clickhouse_url, run.database, None)
    codec = local_codec()
    producer = KafkaProducer(bootstrap_servers=run.kafka_bootstrap_servers)

    def send(topic: topics.Topic, record: object) -> None:
        producer.send(run.topic(topic), codec.encode(record), partition=0).get(10)

    old = incident("i-old")
    send(topics.CHANGES, change(old))
    with reading(run) as log:
        begin = log.end()
    send(topics.POSITIONS, Tick(at_ms=AT_MS))
    send(topics.POSITIONS, Tick(at_ms=AT_MS + 250))
    send(topics.CHANGES, change(replace(old, revision=2), Change.CHANGED))
    send(topics.CHANGES, change(incident("i-1")))
    send(topics.CHANGES, change(incident("i-1")))
    send(topics.CHANGES, change(incident("i-false", kind="fire")))
    gone = replace(incident("i-gone"), state=IncidentState.WITHDRAWN)
    send(topics.CHANGES, change(replace(gone, state=IncidentState.SUSPECTED)))
    send(topics.CHANGES, change(replace(gone, revision=2), Change.WITHDRAWN))
    send(
        topics.TRUTH,
        Truth(at_ms=AT_MS - 5_000, latitude_deg=21.03, longitude_deg=105.8, truth_id="t-1", kind="crash"),
    )
    producer.close()

    with reading(run) as log:
        scope = Scope(begin, log.end())
    scored = build_report(run, codec, scope, seed=7, scored=True)
    assert scored.balances, scored.reasons
    assert scored.incidents["crash"] == IncidentCount(1, KindScore(1, 1, 0, 5.0))
    assert scored.incidents["fire"] == IncidentCount(1, KindScore(0, 0, 1, None))
    assert (scored.from_ms, scored.to_ms) == (AT_MS, AT_MS + 250)
    denied = build_report(run, codec, scope, seed=7, scored=False)
    assert denied.incidents == {"crash": IncidentCount(1, None), "fire": IncidentCount(1, None)}
