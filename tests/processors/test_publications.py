"""Published rule sets where they enter the log: carried in the block of their tick, or refused with every mistake."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from processors.actions import action_domain
from processors.camera import camera_domain
from processors.incidents.rules import read_rule_files
from processors.ingest import IngestRule
from processors.publications import publication
from schemas.columns import unpack
from schemas.errors import UsageError
from schemas.records import PublishedRules, RuleFile
from tests.processors.builders import T0_MS, Run, engine, log_of, run, tick

FIRE = next(
    one
    for one in read_rule_files(Path(__file__).resolve().parents[2] / "cities" / "hanoi" / "rules")
    if one.name == "fire.yaml"
)


def published(**changes: Any) -> PublishedRules:
    return replace(publication([FIRE], "Lan", "a trial", T0_MS + 500, T0_MS + 5_500), **changes)


def judged(*records: Any, **rule: Any) -> Run:
    machine = engine(action_domain(), topic="operator.actions.v1", rule=IngestRule(**rule))
    return run(machine, log_of([tick(T0_MS), *records, tick(T0_MS + 2000)]))


def test_a_rule_set_travels_whole_in_the_block_of_its_tick() -> None:
    one = published()
    done = judged(one)
    assert [block.published for block in done.blocks] == [(), (one,)]
    assert (done.outcomes[0].counts.used, done.rejected) == (1, [])


def test_it_is_a_row_of_what_people_decided() -> None:
    (frame,) = [frame for frame in judged(published()).frames if frame.table == "actions"]
    row = {name: values.tolist() for name, values in unpack(frame.columns).items()}
    assert (row["decision"], row["action_id"], row["operator"]) == (["PUBLISH_RULES"], [published().version], ["Lan"])
    assert row["note"] == ["valid from 2026-09-21T14:13:25.500+00:00: a trial"]


def test_it_is_never_too_late_however_long_no_worker_ran() -> None:
    old = published(at_ms=T0_MS - 86_400_000, valid_from_ms=T0_MS - 86_000_000)
    assert judged(old, lateness_ms=1_000).blocks[1].published == (old,)


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"files": (replace(FIRE, text=FIRE.text + "\nkidn: fire\n"),)}, "bad_rules", "kidn is not a known key"),
        ({"version": "0123456789abcdef"}, "bad_rules", "version 0123456789abcdef is not that of its files"),
        ({"files": (), "version": ""}, "bad_rules", "it has no rules"),
        ({"valid_from_ms": T0_MS}, "out_of_range", "valid_from is before its publication"),
        ({"publisher": " "}, "bad_id", "publisher is empty"),
        ({"note": "n" * 501}, "bad_id", "note has more than the 500 characters"),
    ],
)  # fmt: skip
def test_one_with_a_mistake_is_refused_with_words(changes: dict[str, Any], reason: str, words: str) -> None:
    done = judged(published(**changes))
    assert done.blocks[1].published == ()
    assert [reject.reason for reject in done.rejected] == [reason]
    assert words in "; ".join(done.rejected[0].errors)


def test_it_belongs_on_no_other_topic() -> None:
    done = run(engine(camera_domain()), log_of([tick(T0_MS), published(), tick(T0_MS + 2000)]))
    assert [reject.reason for reject in done.rejected] == ["wrong_record"]


def test_what_is_wrong_is_told_before_it_is_sent() -> None:
    with pytest.raises(UsageError, match="publisher is empty: a rule set is somebody's"):
        publication([FIRE], "", "", 0, 0)
    with pytest.raises(UsageError, match=r"b\.yaml line 1: .* is not a known key"):
        publication([RuleFile(name="b.yaml", text="kidn: fire")], "Lan", "", 0, 0)
