from typing import Any

import numpy as np
import pytest

from processors.history import DEPTH, Entries, History, Verdict
from processors.tracks import Track
from schemas.dictionary import DictionaryArray, dictionary_array

USED, DUPLICATE, CONFLICT = Verdict.USED, Verdict.DUPLICATE, Verdict.CONFLICT


class Kept:
    """A history with one remembered column, fed with (key, at_ms, hash) or (key, at_ms, hash, tie)."""

    def __init__(self) -> None:
        self.history = History("Thing", {"tie": np.uint64, "note": DictionaryArray})
        self.offset = 0

    def entries(self, *told: Any) -> Entries:
        rows = [(*one, 0)[:4] for one in told]
        return Entries(
            self.history.keys.numbers([key.encode() for key, _, _, _ in rows]),
            np.array([at_ms for _, at_ms, _, _ in rows], dtype=np.int64),
            np.array([tie for _, _, _, tie in rows], dtype=np.uint64),
            np.array([content for _, _, content, _ in rows], dtype=np.uint64),
        )

    def judge(self, *told: Any) -> list[Verdict]:
        return [Verdict(verdict) for verdict in self.history.judge(self.entries(*told)).tolist()]

    def add(self, *told: Any, whole: bool = False) -> tuple[list[Any], list[Any]]:
        """Remember records; return the tracks as (key, at_ms, anchor)."""
        entries = self.entries(*told)
        offset = np.arange(self.offset, self.offset + len(told))
        self.offset += len(told)
        note = dictionary_array([f"{one[0]}@{one[1]}" for one in told])
        tracks = self.history.extend(
            entries, {"note": note}, offset, np.full(len(told), whole), np.ones(len(told), bool)
        )
        before, after = (self.told(track) for track in tracks)
        return before, after

    def told(self, track: Track) -> list[Any]:
        keys = [self.history.key_of(slot) for slot in track.slot.tolist()]
        rows = list(zip(keys, track.at_ms.tolist(), track.anchor.tolist(), strict=True))
        assert track.texts["note"].tolist() == [f"{key}@{at_ms}" for key, at_ms, _ in rows]
        return rows


def test_within_an_interval_the_lowest_hash_is_used_and_its_first_record() -> None:
    kept = Kept()
    assert kept.judge(("a", 1, 9), ("a", 1, 5), ("a", 1, 5), ("a", 1, 9), ("b", 1, 9), ("a", 2, 9), ("a", 1, 9, 7)) == [
        CONFLICT, USED, DUPLICATE, CONFLICT, USED, USED, USED,
    ]  # fmt: skip


def test_across_intervals_the_first_used_stays() -> None:
    kept = Kept()
    kept.add(("a", 1, 5))
    assert kept.judge(("a", 1, 5), ("a", 1, 3), ("a", 2, 3)) == [DUPLICATE, CONFLICT, USED]


def test_what_is_older_than_the_newest_records_is_still_known() -> None:
    kept = Kept()
    kept.add(*(("a", at_ms, 7) for at_ms in range(20)))
    assert kept.judge(("a", 3, 7), ("a", 3, 8), ("a", 19, 7), ("a", -5, 7)) == [DUPLICATE, CONFLICT, DUPLICATE, USED]
    kept.add(("a", -5, 7))
    assert kept.judge(("a", -5, 7)) == [DUPLICATE]


def test_a_record_in_order_follows_the_newest_records_only() -> None:
    kept = Kept()
    kept.add(*(("a", at_ms, 1) for at_ms in range(10)), ("b", 0, 1))
    before, after = kept.add(("a", 11, 1), ("a", 10, 1))
    assert before == []
    assert after == [("a", at_ms, at_ms >= 10) for at_ms in range(10 - DEPTH, 12)]


def test_a_late_record_is_seen_in_the_whole_history_of_its_key() -> None:
    kept = Kept()
    kept.add(*(("a", at_ms, 1) for at_ms in range(0, 20, 2)), ("b", 0, 1))
    before, after = kept.add(("a", 13, 1), ("b", 1, 1))
    assert before == [("a", at_ms, at_ms >= 13) for at_ms in range(0, 20, 2)]
    late = sorted([*range(0, 20, 2), 13])
    assert after == [("b", 0, False), ("b", 1, True)] + [("a", at_ms, at_ms >= 13) for at_ms in late]


def test_a_record_that_needs_it_sees_the_whole_history_in_order_too() -> None:
    kept = Kept()
    kept.add(*(("a", at_ms, 1) for at_ms in range(10)))
    before, after = kept.add(("a", 10, 1), whole=True)
    assert before == [], "nothing follows it"
    assert after == [("a", at_ms, at_ms == 10) for at_ms in range(11)]


def test_sealed_parts_bring_back_the_same_history() -> None:
    kept = Kept()
    parts: dict[str, bytes] = {}
    for start in range(0, 30, 10):
        kept.add(*(("a", at_ms, at_ms) for at_ms in range(start, start + 10)), ("ố", start, 1))
        parts |= kept.history.seal(start, horizon_ms=-100, late_ms=-100)
    assert list(parts) == list(kept.history.live) == ["Thing/0", "Thing/10", "Thing/20"]
    again = Kept()
    again.history.load(list(parts.items()), late_ms=-100)
    assert again.history.live == kept.history.live
    told = [("a", 5, 5), ("a", 29, 29), ("a", 12, 1), ("ố", 10, 1), ("a", 30, 1), ("ố", 11, 1)]
    assert again.judge(*told) == kept.judge(*told) == [DUPLICATE, DUPLICATE, CONFLICT, DUPLICATE, USED, USED]
    assert again.add(("a", 4, 0), ("ố", 30, 0)) == kept.add(("a", 4, 0), ("ố", 30, 0))


def test_parts_and_keys_older_than_the_horizon_are_dropped() -> None:
    kept = Kept()
    invented = [(f"invented-{index}", 10, 1) for index in range(3000)]
    kept.add(*invented, ("real", 10, 1))
    kept.history.seal(0, horizon_ms=0, late_ms=0)
    kept.add(("real", 500, 1), ("other", 400, 1))
    assert list(kept.history.seal(7, horizon_ms=100, late_ms=100)) == ["Thing/7"]
    assert kept.history.live == {"Thing/7": 500}
    assert len(kept.history.keys) == 2
    assert kept.judge(("real", 500, 1), ("real", 500, 2), ("other", 400, 1), ("new", 400, 1)) == [
        DUPLICATE, CONFLICT, DUPLICATE, USED,
    ]  # fmt: skip
    before, after = kept.add(("real", 450, 1))
    assert before == [("real", 10, False), ("real", 500, True)]
    assert after == [("real", 10, False), ("real", 450, True), ("real", 500, True)]


def test_what_is_too_old_already_is_not_sealed() -> None:
    kept = Kept()
    kept.add(("a", 10, 1))
    assert kept.history.seal(0, horizon_ms=11, late_ms=11) == {}
    assert kept.history.seal(1, horizon_ms=0, late_ms=0) == {}


def test_a_part_of_another_format_is_refused() -> None:
    kept = Kept()
    kept.add(("a", 10, 1))
    (part,) = kept.history.seal(0, horizon_ms=0, late_ms=0).values()
    with pytest.raises(ValueError, match="format 3"):
        Kept().history.load([("Thing/0", part.replace(b"\xa6format\x02", b"\xa6format\x03"))], late_ms=0)
