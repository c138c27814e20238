"""Rejected records sent again on the real stack: each policy, every fate, and nothing counted twice."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from processors.city import City
from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.ids import shard_of
from schemas.records import Rejected, VehiclePosition
from streams import topics
from streams.cli import cli
from streams.feed import TICK_MS
from streams.log_facts import Place
from streams.resend import RESENT_FROM, Choice, Fate, Plan, Policy, Sent, choose, find_rejected, read_resent, resend
from streams.settings import Settings
from streams.span import Span, save_span
from tests.streams.running import START_MS, Wire, balance, make_ready, run_settings, ticking, wait_until, working

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

RUN = "resend"
WAIT_S = 20.0
POSITIONS = topics.POSITIONS.name


def position(vehicle_id: str, at_ms: int, **changes: Any) -> VehiclePosition:
    sound = VehiclePosition(
        at_ms=at_ms, latitude_deg=21.03, longitude_deg=105.85, speed_mps=5.0, bearing_deg=10.0, accuracy_m=5.0,
        vehicle_id=vehicle_id,
    )  # fmt: skip
    return replace(sound, **changes)


@pytest.fixture(scope="module")
def parked(stack_with_registry: Settings, codec: Codec) -> Iterator[Settings]:
    """A run at work, with records refused as garbage, late, from the future and in conflict."""
    settings = run_settings(stack_with_registry, RUN)
    make_ready(settings)
    wire = Wire(settings, codec)

    def send(record: VehiclePosition) -> None:
        partition = shard_of(record.vehicle_id) % topics.POSITIONS.partitions
        wire.raw(POSITIONS, partition, codec.encode(record), record.vehicle_id.encode(), [("gateway", b"g7")])

    wire.tick(START_MS)
    wire.raw(POSITIONS, 3, b"garbage", None)
    send(position("v-late", START_MS - 700_000))
    for number in range(3):
        send(position(f"v-early-{number}", START_MS + 31_000))
    send(position("v-twice", START_MS))
    wire.tick(START_MS + TICK_MS)
    send(position("v-twice", START_MS, speed_mps=9.0))
    wire.tick(START_MS + 2 * TICK_MS)
    while wire.tick_ms < START_MS + 40_000:  # what was from the future is not any more
        wire.tick(wire.tick_ms + TICK_MS)
    wire.producer.flush(10)
    with working(settings), ticking(wire):
        wait_until(lambda: len(find_rejected(settings, codec, Choice(lambda one: True))) == 6, 30, "not all refused")
        yield settings
    wire.close()


def of(*reasons: str) -> Callable[[Rejected], bool]:
    return lambda one: one.reason in reasons


def fates(done: list[Sent]) -> list[Fate]:
    return [one.fate for one in done]


def test_what_is_right_by_now_is_used_and_a_second_time_a_duplicate(parked: Settings, codec: Codec, city: City) -> None:
    plan = choose(parked, codec, city, Choice(of("future")))
    assert [one.refusal for one in plan.candidates] == [None, None, None]
    rehearsed = resend(parked, codec, plan, Policy.DROP, WAIT_S, dry_run=True)
    assert fates(rehearsed) == [Fate.READY] * 3

    first = resend(parked, codec, plan, Policy.DROP, WAIT_S)
    assert fates(first) == [Fate.USED] * 3
    assert choose(parked, codec, city, Choice(of("future"))) == Plan((), sent_before=3)
    assert read_resent(parked, codec) == {one.place: one.to for one in first}

    again = choose(parked, codec, city, Choice(of("future"), again=True))
    assert fates(resend(parked, codec, again, Policy.STOP, WAIT_S)) == [Fate.DUPLICATE] * 3


def test_what_only_the_worker_knows_is_found_behind_it_and_names_the_first(
    parked: Settings, codec: Codec, city: City
) -> None:
    plan = choose(parked, codec, city, Choice(of("conflict")))
    (one,) = plan.candidates
    assert one.refusal is None

    (sent,) = resend(parked, codec, plan, Policy.REPARK, WAIT_S)

    assert sent.fate is Fate.REFUSED
    assert sent.refusal is not None
    assert sent.refusal.reason == "conflict"
    (parked_anew,) = choose(parked, codec, city, Choice(of("conflict"))).candidates
    assert parked_anew.place == sent.to
    assert (parked_anew.reject.key, parked_anew.reject.value) == (one.reject.key, one.reject.value)
    headers = [(header.name, header.value) for header in parked_anew.reject.headers]
    assert headers == [("gateway", b"g7"), (RESENT_FROM, str(one.place).encode())]
    (third,) = resend(parked, codec, Plan((parked_anew,), 0), Policy.REPARK, WAIT_S)
    newest = next(reject for reject in find_rejected(parked, codec, Choice(of("conflict"))) if at(reject) == third.to)
    assert [(header.name, header.value) for header in newest.headers] == headers  # still the first one's name


def at(reject: Rejected) -> Place:
    return Place(reject.source_topic, reject.source_partition, reject.source_offset)


def test_policies_differ_in_what_would_be_refused_again(parked: Settings, codec: Codec, city: City) -> None:
    plan = choose(parked, codec, city, Choice(of("late", "not_avro")))
    assert sorted(one.refusal.reason for one in plan.candidates if one.refusal) == ["late", "not_avro"]
    assert {one.partition for one in plan.candidates if one.reject.reason == "not_avro"} == {3}

    assert fates(resend(parked, codec, plan, Policy.STOP, WAIT_S)) == [Fate.DROPPED, Fate.LEFT]
    assert fates(resend(parked, codec, plan, Policy.DROP, WAIT_S)) == [Fate.DROPPED, Fate.DROPPED]
    assert fates(resend(parked, codec, plan, Policy.REPARK, WAIT_S)) == [Fate.REFUSED, Fate.REFUSED]


def test_stop_sends_nothing_behind_what_the_worker_refused(
    parked: Settings, codec: Codec, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.resend.AT_ONCE", 2)
    early = choose(parked, codec, city, Choice(of("future"), again=True)).candidates
    conflict = choose(parked, codec, city, Choice(of("conflict"), again=True)).candidates[0]
    plan = Plan((early[0], conflict, early[1], early[2]), 0)
    expected = [Fate.DUPLICATE, Fate.REFUSED, Fate.LEFT, Fate.LEFT]
    assert fates(resend(parked, codec, plan, Policy.STOP, WAIT_S)) == expected


def test_look_back_is_by_the_brokers_time(parked: Settings, codec: Codec) -> None:
    long_ago_ms, later_ms = 1_000, 4_000_000_000_000
    assert len(find_rejected(parked, codec, Choice(of("late"), since_ms=long_ago_ms))) >= 1
    assert find_rejected(parked, codec, Choice(of("late"), since_ms=later_ms)) == []


def run(settings: Settings, *arguments: str) -> Result:
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
        "CLICKHOUSE_URL": settings.clickhouse_url,
        "CITYOPS_HOME": str(settings.home),
        "COLUMNS": "200",
    }
    return CliRunner(env=env).invoke(cli, [*arguments, "--run", RUN])


def printed(result: Result) -> Any:
    """The JSON behind what was said on the way."""
    return json.loads(result.output[result.output.index("{") :])


def test_command_accounts_for_every_record_and_stops_with_a_status(parked: Settings) -> None:
    told = run(parked, "rejected", "replay", "--reason", "late", "--policy", "drop", "--again")
    assert told.exit_code == 0, told.output
    assert "are older than 10 min and would be refused as late" in told.output
    assert "not sent: would be refused" in told.output

    stopped = run(parked, "rejected", "replay", "--reason", "late", "--again", "--policy", "stop", "--json")
    assert stopped.exit_code == 1
    found = printed(stopped)
    assert found["chosen"] == sum(found["fates"].values()) == len(found["records"])
    assert found["records"][0]["reason"] == "late"

    listed = printed(run(parked, "rejected", "list", "--reason", "future", "--json"))
    assert all(one["sent_again_as"].startswith(POSITIONS) for one in listed["records"])


def test_replay_has_nothing_to_send_to(stackless: Settings, codec: Codec, city: City) -> None:
    save_span(stackless.home, "check", Span(0, 1, []))
    with pytest.raises(UsageError, match="check is a replay and has no input of its own"):
        choose(replace(stackless, run="check"), codec, city, Choice(of("late")))


def test_everything_balances_in_the_end(parked: Settings, codec: Codec) -> None:
    wait_until(lambda: _balances(parked, codec), 20, "does not balance")
    assert balance(parked, codec).balances


def _balances(settings: Settings, codec: Codec) -> bool:
    try:
        balance(settings, codec)
    except AssertionError:
        return False
    return True
