import random
from collections import defaultdict
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.history import DEPTH, Entries, History, Part, Verdict
from processors.key_blocks import BLOCK
from processors.tracks import Track
from schemas.columns import unpack
from schemas.dictionary import DictionaryArray, dictionary_array

DAY_MS = 86_400_000
USED, DUPLICATE, CONFLICT = Verdict.USED, Verdict.DUPLICATE, Verdict.CONFLICT


class Kept:
    """A history with one remembered column, fed with (key, at_ms, hash) or (key, at_ms, hash, tie)."""

    def __init__(self, whole_ms: int = 0, *, packs: bool = False) -> None:
        """packs: what is older is packed away; only what has no tie is."""
        columns: dict[str, Any] = {"note": DictionaryArray} if packs else {"tie": np.uint64, "note": DictionaryArray}
        self.history = History("Thing", columns, whole_ms, few_blocks=0)
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

    def add(self, *told: Any, whole: bool = False, candidate: bool = True) -> tuple[list[Any], list[Any]]:
        """Remember records; return the tracks as (key, at_ms, anchor)."""
        entries = self.entries(*told)
        offset = np.arange(self.offset, self.offset + len(told))
        self.offset += len(told)
        note = dictionary_array([f"{one[0]}@{one[1]}" for one in told])
        tracks = self.history.extend(
            entries, {"note": note}, offset, np.full(len(told), whole), np.full(len(told), candidate)
        )
        before, after = (self.told(track) for track in tracks)
        return before, after

    def told(self, track: Track) -> list[Any]:
        keys = [self.history.key_of(slot) for slot in track.slot.tolist()]
        rows = list(zip(keys, track.at_ms.tolist(), track.anchor.tolist(), strict=True))
        latest_ms = max(track.at_ms.tolist(), default=0)
        for note, (key, at_ms, _) in zip(track.texts["note"].tolist(), rows, strict=True):
            assert note == f"{key}@{at_ms}" or latest_ms - at_ms > 24 * DAY_MS, "times before that are only before it"
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


def test_a_record_in_order_at_which_nothing_is_claimed_is_only_remembered() -> None:
    kept = Kept()
    kept.add(("a", 10, 1), ("b", 10, 1))
    assert kept.add(("a", 20, 1), ("b", 20, 1), ("b", 21, 1), candidate=False) == ([], [])
    before, after = kept.add(("a", 15, 1), ("b", 22, 1), candidate=False)
    assert before == [("a", 10, False), ("a", 20, True)]
    assert after == [("a", 10, False), ("a", 15, True), ("a", 20, True)]
    _, after = kept.add(("b", 23, 1))
    assert after == [("b", at_ms, at_ms == 23) for at_ms in (10, 20, 21, 22, 23)]


def test_records_of_one_interval_may_be_any_time_apart() -> None:
    kept = Kept()
    times = [0, 7, 3 * DAY_MS, 60 * DAY_MS, 20_000 * DAY_MS]
    before, after = kept.add(*(("a", at_ms, 1) for at_ms in reversed(times)), ("b", 5, 1))
    assert before == []
    assert sorted(after) == [("a", at_ms, True) for at_ms in times] + [("b", 5, True)]
    (part,) = kept.history.seal(0, horizon_ms=0, late_ms=0).values()
    assert sorted(unpack(msgspec.msgpack.decode(part, type=Part).columns)["at_ms"].tolist()) == sorted([*times, 5])


def test_ticks_far_apart_leave_room_for_any_time() -> None:
    kept = Kept()
    for day in (0, 1, 30, 31, 20_000):
        kept.add(("a", day * DAY_MS, day), ("b", day * DAY_MS + 5, 1))
        assert kept.judge(("a", day * DAY_MS, day), ("b", day * DAY_MS + 5, 2)) == [DUPLICATE, CONFLICT]
    _, after = kept.add(("a", 20_000 * DAY_MS + 1, 1))
    assert after[-2:] == [("a", 20_000 * DAY_MS, False), ("a", 20_000 * DAY_MS + 1, True)]


def test_texts_that_nothing_tells_any_more_are_forgotten() -> None:
    kept = Kept()
    for start in range(0, 600_000, 10_000):
        kept.add(*(("a", at_ms, 1) for at_ms in range(start, start + 10_000, 10)))
        kept.history.seal(start, horizon_ms=start - 20_000, late_ms=start - 10_000)
    _, after = kept.add(("a", 595_005, 2))
    assert [at_ms for _, at_ms, _ in after][-400:] == list(range(596_000, 600_000, 10)), "whose texts add() looks at"
    told = kept.history._packing.texts(kept.history._blocks.rows)["note"]
    assert len(told.dictionary) < 20_000, "of 60,001"


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([0, 30_000]), st.booleans())
def test_every_record_finds_what_matters_however_late_and_after_any_restart(
    seed: int, whole_ms: int, packs: bool
) -> None:
    """Against plain lists of all that ever was; the lateness bound is 100 s, what is 300 s old is forgotten."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("processors.history.AT_HAND_MS", 10_000)
        check_against_lists(seed, whole_ms, packs=packs)


def check_against_lists(seed: int, whole_ms: int, *, packs: bool) -> None:
    chance, kept, told = random.Random(seed), Kept(whole_ms, packs=packs), defaultdict[str, list[int]](list)
    parts: dict[str, bytes] = {}
    start_ms = chance.choice([0, 1_790_000_000_000])
    for now_ms in range(start_ms, start_ms + 900_000, 5_000):
        late_ms = now_ms - 100_000
        new: dict[str, set[int]] = {}
        for key in chance.sample("abcde", chance.randint(0, 4)):
            times = {
                max(start_ms, now_ms - chance.choice([0, 0, 0, 1, 2000, 50_000, 99_000]))
                for _ in range(chance.randint(1, 3))
            }
            assert kept.judge(*((key, at_ms, 1) for at_ms in times)) == [
                DUPLICATE if at_ms in told[key] else USED for at_ms in times
            ]  # fmt: skip
            new[key] = times - set(told[key])
        rows = [(key, at_ms, 1) for key, times in new.items() for at_ms in times]
        _, after = kept.add(*chance.sample(rows, len(rows)), whole=whole_ms > 0)
        for key, times in new.items():
            told[key] = sorted({*told[key], *times})
            track = [at_ms for one, at_ms, _ in after if one == key]
            for at_ms in times:
                place = told[key].index(at_ms)
                assert track[track.index(at_ms) :] == told[key][place:], "all that follows"
                matters = [one for one in told[key][:place] if one >= now_ms - 300_000]
                assert track[: track.index(at_ms)][-DEPTH:] == told[key][:place][-DEPTH:] or (
                    track[: track.index(at_ms)][-len(matters) :] == matters
                )
                assert [one for one in track if at_ms - whole_ms <= one < at_ms] == [
                    one for one in told[key][:place] if at_ms - whole_ms <= one
                ]  # fmt: skip
        if chance.random() < 0.4:
            parts |= kept.history.seal(kept.offset, late_ms - 200_000, late_ms)
            parts = {name: parts[name] for name in kept.history.live}
            if chance.random() < 0.1:
                offset, kept = kept.offset, Kept(whole_ms, packs=packs)
                kept.offset = offset
                kept.history.load(list(parts.items()), late_ms)
    assert len(kept.history._blocks.rows) <= 1025 * BLOCK


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
    with pytest.raises(ValueError, match="format 9"):
        Kept().history.load([("Thing/0", part.replace(b"\xa6format\x03", b"\xa6format\x09"))], late_ms=0)
