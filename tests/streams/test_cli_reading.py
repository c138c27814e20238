import json
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaProducer
from rich.console import Console
from rich.table import Table

from processors.framing import frame_of
from schemas.errors import UsageError
from schemas.records import Change, Header, IncidentState, OperatorAction, Rejected, VehiclePosition
from streams import topics
from streams.admin import ensure_topics
from streams.cli import cli
from streams.cli.incidents import open_incident
from streams.cli.rejected import hex_dump
from streams.cli.showing import folded, whole
from streams.reading import Vector, reading
from streams.registry import load_codec
from streams.settings import Settings
from tests.streams.incidents import change, incident

RUN = "cli-reading"
PLACE = "vehicle.positions.v1/2/17"
FRAMES = topics.FRAMES.name


def test_hex_dump_shows_offset_bytes_and_text() -> None:
    assert hex_dump(b"") == "no value"
    first, second = hex_dump(b"\x00\x00\x00\x00\x2agarbage in here").splitlines()
    assert first == "00000000  00 00 00 00 2a 67 61 72 62 61 67 65 20 69 6e 20  |....*garbage in |"
    assert second.startswith("00000010  68 65 72 65 ")
    assert second.endswith("  |here|")
    assert hex_dump(bytes(5000)).endswith("... 3,976 more bytes (--json has them all)")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rejected", "list", "--reason", "lat"), "'lat' is not one of 'null_value', 'not_avro'"),
        (("ingest", "a.csv", "--format", "csb"), "'csb' is not one of 'csv', 'gtfs-rt'"),
        (("incidents", "list", "--state", "open"), "'open' is not one of 'SUSPECTED', 'CONFIRMED'"),
    ],
)
def test_unknown_word_is_told_with_those_there_are(arguments: Sequence[str], words: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_ids_are_never_shortened_in_a_narrow_terminal() -> None:
    out = StringIO()
    console = Console(file=out, width=80)
    alone = Table(whole("incident"), *("what there is to say",) * 7)
    alone.add_row("i-cac0e0e9980056d3", *("something rather long",) * 7)
    console.print(alone)
    assert "│ i-cac0e0e9980056d3 │" in out.getvalue()
    beside = Table(folded("notification"), folded("incident"), *("what there is to say",) * 5)
    beside.add_row("n-4c76cb4315f85b2f", "i-f7d0d9c49bc53753", *("something rather long",) * 5)
    console.print(beside)
    cells = [line.split("│")[1].strip() for line in out.getvalue().splitlines() if line.count("│") == 8]
    assert "".join(cells) == "n-4c76cb4315f85b2f"


@pytest.fixture(scope="module")
def filled(stack_with_registry: Settings) -> Settings:
    settings = stack_with_registry.with_run(RUN, RUN)
    ensure_topics(settings)
    codec = load_codec(settings)
    reject = Rejected(
        tick_ms=1_700_000_000_000, source_offset=17, source_partition=2, source_topic="vehicle.positions.v1",
        reason="not_avro", errors=("the message does not begin with 0 and a schema id", "nor with anything known"),
        key=b"bus-1", value=b"garbage", headers=(Header(name="gateway", value=b"g7"),),
    )  # fmt: skip
    late = replace(reject, source_offset=18, reason="late", errors=("11 min late",))
    one = VehiclePosition(
        at_ms=1_700_000_000_000, latitude_deg=0.0, longitude_deg=0.0, speed_mps=float("nan"), bearing_deg=90.0,
        accuracy_m=3.0, vehicle_id="bus-9",
    )  # fmt: skip
    row = replace(
        reject, source_topic=FRAMES, source_index=3, reason="null_island", value=codec.encode(frame_of([one], "gw-7"))
    )
    other = replace(row, source_index=4)
    opened = incident()
    confirmed = replace(opened, revision=2, state=IncidentState.CONFIRMED)
    plan: Sequence[tuple[topics.Topic, bytes, object]] = (
        (topics.REJECTED, b"1", reject), (topics.REJECTED, b"1", reject), (topics.REJECTED, b"2", late),
        (topics.REJECTED, b"3", row), (topics.REJECTED, b"4", other), (topics.REJECTED, b"3", row),
        (topics.INCIDENTS, b"i-1", opened), (topics.INCIDENTS, b"i-1", confirmed),
        (topics.INCIDENTS, b"i-1", opened), (topics.INCIDENTS, b"i-2", incident("i-2", kind="fire")),
        (topics.CHANGES, b"i-1", change(opened)), (topics.CHANGES, b"i-1", change(opened)),
        (topics.CHANGES, b"i-1", change(confirmed, Change.CONFIRMED, ["a second witness"])),
    )  # fmt: skip
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    for topic, key, record in plan:
        producer.send(settings.topic(topic), codec.encode(record), key).get(10)
    producer.close()
    return settings


def run(settings: Settings, *arguments: str) -> Result:
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
        "CLICKHOUSE_URL": settings.clickhouse_url,
        "CITYOPS_HOME": str(settings.home),
        "COLUMNS": "200",
    }
    return CliRunner(env=env).invoke(cli, [*arguments, "--run", RUN])


def said(settings: Settings, *arguments: str) -> str:
    result = run(settings, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.stack
def test_rejected_are_listed_once_and_by_reason(filled: Settings) -> None:
    text = said(filled, "rejected", "list")
    assert text.count(PLACE) == 1
    assert [text.count(f"{FRAMES}/2/17/{row} ") for row in (3, 4)] == [1, 1]
    assert "4 records, 4 shown: null_island 2, not_avro 1, late 1" in text
    listed = json.loads(said(filled, "rejected", "list", "--reason", "late", "--json"))
    assert listed["reasons"] == {"late": 1}
    assert listed["records"][0]["errors"] == ["11 min late"]


@pytest.mark.stack
def test_one_rejected_record_is_shown_whole(filled: Settings) -> None:
    text = said(filled, "rejected", "show", PLACE)
    for part in ("not_avro", "nor with anything known", "key: b'bus-1'", "header gateway: b'g7'", "|garbage|"):
        assert part in text
    shown = json.loads(said(filled, "rejected", "show", PLACE, "--json"))
    assert shown["decoded"].startswith("the message does not begin")
    assert shown["record"]["value"] == "Z2FyYmFnZQ=="
    framed = json.loads(said(filled, "rejected", "show", f"{FRAMES}/2/17/4", "--json"))
    (position,) = framed["decoded"]["positions"]
    assert (framed["place"], framed["decoded"]["record"]) == (f"{FRAMES}/2/17/4", "VehicleFrame")
    assert (position["vehicle_id"], position["bearing_deg"], position["speed_mps"]) == ("bus-9", 90.0, None)


@pytest.mark.stack
def test_incidents_are_listed_as_they_are_now(filled: Settings) -> None:
    listed = json.loads(said(filled, "incidents", "list", "--json"))
    assert [(one["incident_id"], one["revision"], one["state"]) for one in listed] == [
        ("i-1", 2, "CONFIRMED"),
        ("i-2", 1, "SUSPECTED"),
    ]
    text = said(filled, "incidents", "list", "--state", "confirmed")
    assert "near Kim Mã stop" in text
    assert "2023-11-15 05:13:20" in text
    assert "1 incidents" in text
    assert "i-2" not in text
    assert "i-1" not in said(filled, "incidents", "list", "--kind", "fire")


@pytest.mark.stack
def test_one_incident_is_shown_with_its_revisions(filled: Settings) -> None:
    text = said(filled, "incidents", "show", "i-1")
    for part in ("i-1: crash, confirmed, moderate", "a second witness", "because", "o-1", "hard_stop", "3 m"):
        assert part in text
    revisions = json.loads(said(filled, "incidents", "show", "i-1", "--json"))
    assert [one["change"] for one in revisions] == ["OPENED", "CONFIRMED"]


@pytest.mark.stack
@pytest.mark.parametrize(
    "arguments",
    [
        ("rejected", "show", "vehicle.positions.v1/0/1"),
        ("incidents", "show", "i-9"),
        ("incidents", "confirm", "i-9"),
    ],
)
def test_unknown_id_is_one_sentence(filled: Settings, arguments: tuple[str, ...]) -> None:
    result = run(filled, *arguments)
    assert result.exit_code == 1
    assert arguments[-1] in str(result.exception)


@pytest.mark.stack
def test_a_decision_without_a_worker_is_queued(filled: Settings) -> None:
    text = said(filled, "incidents", "dismiss", "i-2", "--operator", "Lan", "--note", "a grill", "--wait", "0s")
    assert "is queued: no worker has folded it in" in text
    codec = load_codec(filled)
    with reading(filled) as log:
        found = log.read(topics.ACTIONS, {}, log.end([topics.ACTIONS]))
        (action,) = [codec.read(one.value or b"", OperatorAction) for one in found]
    assert (action.incident_id, action.decision, action.operator, action.note) == ("i-2", "DISMISS", "Lan", "a grill")
    assert f"{action.action_id} is queued" in text
    assert "operator is empty" in str(run(filled, "incidents", "confirm", "i-2", "--operator", " ").exception)


@pytest.mark.stack
def test_what_operators_may_say_is_appended_as_said(filled: Settings) -> None:
    begin = end_of_actions(filled)
    for words in (
        ("assign", "--to", "Traffic police", "--note", "please look"),
        ("resolve",),
        ("comment", "--note", "free at noon"),
    ):
        assert "is queued" in said(
            filled, "incidents", words[0], "i-2", "--operator", "Lan", "--wait", "0s", *words[1:]
        )
    codec = load_codec(filled)
    with reading(filled) as log:
        found = log.read(topics.ACTIONS, begin, end_of_actions(filled))
        actions = [codec.read(one.value or b"", OperatorAction) for one in found]
    assert [(one.incident_id, one.decision, one.assignee, one.note) for one in actions] == [
        ("i-2", "ASSIGN", "Traffic police", "please look"),
        ("i-2", "RESOLVE", "", ""),
        ("i-2", "COMMENT", "", "free at noon"),
    ]
    assert "a comment says something" in str(run(filled, "incidents", "comment", "i-2", "--operator", "Lan").exception)
    empty = run(filled, "incidents", "assign", "i-2", "--operator", "Lan", "--to", " ")
    assert "an assignee goes with ASSIGN" in str(empty.exception)


def end_of_actions(settings: Settings) -> Vector:
    with reading(settings) as log:
        return log.end([topics.ACTIONS])


def test_the_beginning_of_an_id_names_the_open_incident_it_went_on_as() -> None:
    gone, over = IncidentState.WITHDRAWN, IncidentState.CLOSED
    first, second, closed = incident("i-11"), incident("i-12"), incident("i-13", state=over)
    early = replace(incident("p-1", state=gone), merged_into="i-14")
    merged = replace(incident("i-14", state=gone), merged_into="i-12")
    every = [first, second, closed, early, merged]
    assert open_incident(every, "i-11") == first
    assert open_incident(every, "p-") == open_incident(every, "i-14") == second
    assert open_incident([*every, incident("i-1")], "i-1").incident_id == "i-1"
    for beginning, words in (
        ("i-1", "begins the ids of 2 open incidents"),
        ("i-13", "i-13 is closed"),
        ("x", "no incident x"),
    ):
        with pytest.raises(UsageError, match=words):
            open_incident(every, beginning)
