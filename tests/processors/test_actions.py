"""Operator actions on their way to the correlator."""

from dataclasses import replace
from typing import Any

import pytest

from processors.actions import action_domain, new_action
from processors.ingest import IngestRule
from processors.partition_engine import PartitionEngine
from schemas.columns import unpack
from schemas.errors import UsageError
from schemas.records import Decision, OperatorAction
from tests.processors.builders import T0_MS, Run, engine, heartbeat, log_of, run, tick

TOPIC = "operator.actions.v1"


def action(name: str = "i-1", at: int = T0_MS + 500, **fields: Any) -> OperatorAction:
    return replace(new_action(name, Decision.CONFIRM, "Lan", "", at), **fields)


def machine(**rule: Any) -> PartitionEngine:
    return engine(action_domain(), topic=TOPIC, rule=IngestRule(**rule))


def judged(*records: Any) -> Run:
    """What becomes of records between two ticks two seconds apart."""
    return run(machine(), log_of([tick(T0_MS), *records, tick(T0_MS + 2000)]))


def rejected(one: Any) -> list[tuple[str, str]]:
    return [(reject.reason, "; ".join(reject.errors)) for reject in judged(one).rejected]


def test_actions_travel_in_the_block_of_their_tick_in_the_order_of_their_times() -> None:
    late, early = action(at=T0_MS + 900, note="seen on CAM-1"), action("i-2", T0_MS + 100)
    done = judged(late, early)
    assert [block.actions for block in done.blocks] == [(), (early, late)]
    assert [block.source_topic for block in done.blocks] == [TOPIC, TOPIC]
    assert done.observations == []
    counts = done.outcomes[0].counts
    assert (counts.used, counts.actions, counts.ticks) == (2, 2, 2)


def test_an_action_is_a_row_as_it_was_said() -> None:
    done = judged(action(note="fireworks"))
    (frame,) = [frame for frame in done.frames if frame.table == "actions"]
    row = {name: values.tolist() for name, values in unpack(frame.columns).items()}
    sent = action(note="fireworks")
    assert row == {
        "source_offset": [1], "at_ms": [T0_MS + 500], "action_id": [sent.action_id], "incident_id": ["i-1"],
        "decision": ["CONFIRM"], "operator": ["Lan"], "note": ["fireworks"],
        "assignee": [""],
    }  # fmt: skip


def test_what_is_sent_again_is_a_duplicate_also_after_a_restart() -> None:
    first = machine(checkpoint_ms=1000)
    before = run(first, log_of([tick(T0_MS), action(), action(), tick(T0_MS + 1000)]))
    assert (before.outcomes[0].counts.used, before.outcomes[0].counts.duplicate) == (1, 1)
    checkpoint = before.outcomes[0].checkpoint
    assert checkpoint is not None
    again = machine(checkpoint_ms=1000)
    again.restore(checkpoint.new_parts, checkpoint.live, checkpoint.next_offset, checkpoint.tick_ms)
    after = run(again, log_of([action(), tick(T0_MS + 2000)], first_offset=4))
    assert (after.outcomes[0].counts.used, after.outcomes[0].counts.duplicate) == (0, 1)
    assert after.blocks[0].actions == ()


def test_nothing_is_ever_forwarded() -> None:
    """There is one partition, whatever shard an incident's id hashes to."""
    done = judged(*(action(f"i-{number}", T0_MS + number) for number in range(64)))
    assert (done.outcomes[0].counts.used, done.forwarded) == (64, [])


@pytest.mark.parametrize(
    ("wrong", "reason", "words"),
    [
        (action(incident_id=""), "bad_id", "the id of the incident is empty"),
        (action(incident_id="i-1 "), "bad_id", "the id of the incident has control characters or white space"),
        (action(action_id=""), "bad_id", "the id of the action is empty"),
        (action(operator=" "), "bad_id", "operator is empty"),
        (action(operator="L" * 65), "bad_id", "operator has more than the 64 characters that are taken"),
        (action(note="n" * 501), "bad_id", "note has more than the 500 characters that are taken"),
        (action(note="two\nlines"), "bad_id", "note has control characters"),
        (action(decision=Decision.COMMENT), "bad_id", "note is empty: a comment says something"),
        (action(decision=Decision.ASSIGN), "bad_id", "an assignee goes with ASSIGN, and with nothing else"),
        (action(assignee="Ward 7"), "bad_id", "an assignee goes with ASSIGN, and with nothing else"),
        (action(decision=Decision.ASSIGN, assignee="w" * 65), "bad_id", "assignee has more than the 64 characters"),
        (action(at_ms=T0_MS - 600_001), "late", "600001 ms before the tick"),
        (action(at_ms=T0_MS + 32_001), "future", "30001 ms after the tick"),
        (action(at_ms=-1), "out_of_range", "is not between the years 1970 and 2100"),
        (heartbeat(), "wrong_record", f"Heartbeat does not belong on {TOPIC}"),
    ],
)
def test_an_unsound_action_is_refused_with_its_reason(wrong: Any, reason: str, words: str) -> None:
    ((found, told),) = rejected(wrong)
    assert found == reason
    assert words in told


def test_an_assignment_says_to_whom_all_the_way() -> None:
    one = new_action("i-1", Decision.ASSIGN, "Lan", "", T0_MS + 500, " Ward 7 ")
    assert one.assignee == "Ward 7"
    assert one.action_id != new_action("i-1", Decision.ASSIGN, "Lan", "", T0_MS + 500, "Ward 8").action_id
    assert judged(one).blocks[1].actions == (one,)


def test_a_new_action_is_sound_or_refused_in_a_sentence() -> None:
    one = new_action("i-1", Decision.DISMISS, " Lan ", "fireworks\nover the lake ", T0_MS)
    assert (one.operator, one.note) == ("Lan", "fireworks over the lake")
    assert one == new_action("i-1", Decision.DISMISS, "Lan", "fireworks over the lake", T0_MS)
    assert one.action_id != new_action("i-1", Decision.DISMISS, "Lan", "fireworks over the lake", T0_MS + 1).action_id
    assert rejected(replace(one, at_ms=T0_MS + 500)) == []
    with pytest.raises(
        UsageError, match=r"the id of the incident is empty; operator is empty.*; note has more than the 500"
    ):
        new_action("", Decision.CONFIRM, "", "n" * 501, T0_MS)
