import msgspec
from hypothesis import given
from hypothesis import strategies as st

from processors.incidents.claim_parts import ClaimParts, ClaimsState, share_texts
from processors.incidents.clusters import canonical
from processors.incidents.engine import CorrelationRule
from schemas.records import Observation
from tests.processors.incidents.builders import Run, claim


@given(st.lists(st.sampled_from(["add", "add", "add", "remove", "checkpoint", "restart"]), max_size=60), st.data())
def test_parts_and_state_hold_what_stands(steps: list[str], data: st.DataObject) -> None:
    standing: dict[str, Observation] = {}
    stored: dict[str, bytes] = {}
    parts = ClaimParts(part_claims=4)
    for number, step in enumerate(steps):
        if step == "add":
            one = claim("heat", f"P-{number}", number)
            standing[one.observation_id] = one
            parts.add(one)
        elif step == "remove" and standing:
            gone = data.draw(st.sampled_from(sorted(standing)))
            del standing[gone]
            parts.remove(gone)
        else:
            stored |= parts.seal(f"claims/{number}", standing)
            state = parts.state()
            live = {one.key for one in state.sealed}
            stored = {key: blob for key, blob in stored.items() if key in live}
            assert set(stored) == live
            again = ClaimParts(part_claims=4)
            assert canonical(again.restore(state, stored)) == canonical(standing.values())
            assert again.state() == state
            if step == "restart":
                parts = again


def test_standing_observations_have_their_texts_in_common() -> None:
    parts = ClaimParts(part_claims=2)
    given_now = [_decoded(claim("heat", "P-1", second)) for second in range(2)]
    assert given_now[0].device_id is not given_now[1].device_id
    share_texts(given_now)
    for one in given_now:
        parts.add(one)
    sealed = parts.seal("claims/1", {one.observation_id: one for one in given_now})
    restored = ClaimParts(part_claims=2).restore(parts.state(), sealed)
    for name in ("source_topic", "kind", "device_id", "witness_id"):
        assert len({id(getattr(one, name)) for one in (*given_now, *restored)}) == 1
    assert restored == given_now


def _decoded(one: Observation) -> Observation:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Observation)


def test_what_stands_of_a_part_mostly_gone_is_written_anew() -> None:
    claims = [claim("heat", f"P-{number}", number) for number in range(8)]
    parts = ClaimParts(part_claims=4)
    standing = {one.observation_id: one for one in claims}
    for one in claims:
        parts.add(one)
    parts.seal("claims/1", standing)
    for one in claims[:5]:
        parts.remove(one.observation_id)
        del standing[one.observation_id]
    assert parts.seal("claims/2", standing) == {}
    assert [len(one.gone) for one in parts.state().sealed] == [5]
    parts.remove(claims[5].observation_id)
    del standing[claims[5].observation_id]
    assert parts.seal("claims/3", standing) == {}
    assert parts.state() == ClaimsState((), tuple(claims[6:]))


def test_a_checkpoint_writes_observations_once() -> None:
    run = Run(CorrelationRule(provisional_after_ms=0, block_ms=10_000, checkpoint_ms=10_000))
    for second in range(1, 201):
        run.tick(second, [claim("hard_stop", f"TX-{second}-{n}", second - 0.5, x_m=n * 500) for n in range(4)])
    sealed = [key for one in run.checkpoints for key in one.new_parts if key.startswith("claims/crash/")]
    assert len(sealed) == len(set(sealed)) == 2
    assert set(run.checkpoints[-1].live) >= set(sealed)
    assert max(len(blob) for one in run.checkpoints for key, blob in one.new_parts.items() if "state/" in key) < 90_000
    run.tick(2500)
    run.tick(2510)
    dropped = [key for one in run.checkpoints for key in one.dropped]
    assert set(sealed) <= set(dropped)
    assert len(run.checkpoints[-1].live) == 1
