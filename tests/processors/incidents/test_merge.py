from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.incidents.merge import Merge, MergedTick
from schemas.records import Decision, ObservationBlock
from tests.processors.incidents.builders import (
    ACTIONS,
    DETECTIONS,
    POSITIONS,
    READINGS,
    SOURCES,
    T0_MS,
    action,
    block,
    claim,
)

HARD_STOP = claim("hard_stop", "TX-1", 0.1)
CRASH = claim("camera_crash", "CAM-1", 0.05)


def push_all(merge: Merge, blocks: Sequence[ObservationBlock]) -> list[MergedTick]:
    return [tick for one in blocks for tick in merge.push(one)]


def test_merge_waits_for_the_slowest_source() -> None:
    merge = Merge([POSITIONS, DETECTIONS])
    assert merge.push(block(POSITIONS, 0.25, [HARD_STOP])) == []
    assert merge.push(block(POSITIONS, 0.5)) == []
    assert merge.lead_ms == 250
    merged = merge.push(block(DETECTIONS, 0.25, [CRASH]))
    assert merged == [MergedTick(T0_MS + 250, (CRASH, HARD_STOP))]
    assert merge.push(block(DETECTIONS, 0.5)) == [MergedTick(T0_MS + 500, ())]


def test_merge_drops_a_repeated_block() -> None:
    merge = Merge([POSITIONS])
    assert len(merge.push(block(POSITIONS, 0.5, [HARD_STOP]))) == 1
    assert merge.push(block(POSITIONS, 0.5, [HARD_STOP])) == []
    assert merge.push(block(POSITIONS, 0.25)) == []


def test_merge_runs_over_the_union_of_ticks() -> None:
    merge = Merge([POSITIONS, DETECTIONS])
    push_all(merge, [block(POSITIONS, 0.25), block(POSITIONS, 0.75)])
    assert [tick.tick_ms - T0_MS for tick in merge.push(block(DETECTIONS, 0.5))] == [250, 500]
    assert [tick.tick_ms - T0_MS for tick in merge.push(block(DETECTIONS, 1.0))] == [750]


def test_merge_keeps_a_claim_before_its_withdrawal_of_the_same_block() -> None:
    back = claim("hard_stop", "TX-1", 0.1, withdrawn=True)
    merge = Merge([POSITIONS])
    (tick,) = merge.push(replace(block(POSITIONS, 0.25), observations=(HARD_STOP, back)))
    assert [one.withdrawn for one in tick.observations] == [False, True]


def test_merge_refuses_a_source_it_was_not_told_of() -> None:
    with pytest.raises(ValueError, match="not one of"):
        Merge([POSITIONS]).push(block(DETECTIONS, 0.25))


def test_merge_gives_actions_in_the_order_of_their_times() -> None:
    early, late = action(Decision.DISMISS, "i-1", 0.1), action(Decision.CONFIRM, "i-1", 0.2)
    (tick,) = Merge([ACTIONS]).push(replace(block(ACTIONS, 0.25), actions=(late, early)))
    assert tick == MergedTick(T0_MS + 250, (), (early, late))


@given(st.data())
def test_merge_gives_the_same_ticks_for_every_interleaving_and_repetition(data: st.DataObject) -> None:
    streams = []
    for source in SOURCES:
        ticks = sorted(data.draw(st.sets(st.integers(1, 12), min_size=1, max_size=8)))
        if source == ACTIONS:
            about = [(tick, action(Decision.CONFIRM, f"i-{tick}", tick / 4)) for tick in ticks]
            streams.append([block(source, tick / 4, actions=[one]) for tick, one in about])
            continue
        kind = {POSITIONS: "hard_stop", DETECTIONS: "camera_crash", READINGS: "heat"}[source]
        streams.append([block(source, tick / 4, [claim(kind, f"D-{tick}", tick / 4 - 0.1)]) for tick in ticks])
    in_turn = push_all(Merge(SOURCES), [one for stream in streams for one in stream])

    merge = Merge(SOURCES)
    merged = []
    at = [0] * len(streams)
    while any(position < len(stream) for position, stream in zip(at, streams, strict=True)):
        able = [index for index, stream in enumerate(streams) if at[index] < len(stream)]
        chosen = data.draw(st.sampled_from(able))
        if at[chosen] and data.draw(st.booleans()):
            merged += merge.push(streams[chosen][data.draw(st.integers(0, at[chosen] - 1))])
        if data.draw(st.booleans()):
            again = Merge(SOURCES)
            again.restore(merge.state())
            merge = again
        merged += merge.push(streams[chosen][at[chosen]])
        at[chosen] += 1
    assert merged == in_turn
    assert [tick.tick_ms for tick in merged] == sorted({tick.tick_ms for tick in merged})
