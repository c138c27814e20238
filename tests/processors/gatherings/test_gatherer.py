"""The framework: late claims, withdrawals, claims dated ahead, forgetting, restarts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.gatherings.contract import Derived, observation_of
from processors.gatherings.gatherer import Gatherer
from processors.incidents.clusters import canonical
from schemas.records import Observation
from tests.processors.gatherings.builders import DAY_MS, Listener, observed

STEP_MS = 10_000
LATENESS_MS = 120_000
HORIZON_MS = 300_000
ALONE_MS = 90_000


@dataclass(frozen=True)
class Echo:
    """A toy: "pair" where a subject's claims are 30 s apart or less, "alone" 90 s after one that none follows."""

    name: str = "echo"
    kinds: frozenset[str] = frozenset(("ping",))
    reach_ms: int = 100_000

    def subjects(self, claim: Observation) -> tuple[str, ...]:
        return (claim.subject, "all") if claim.subject else ()

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterator[Derived]:
        for one in claims:
            after = [each for each in claims if one.at_ms < each.at_ms <= one.at_ms + ALONE_MS]
            if not after:
                yield Derived(at_ms=one.at_ms + ALONE_MS, kind="alone", score=0.5, rests_on=(one,), subject=subject)
            for each in after:
                if each.at_ms <= one.at_ms + 30_000:
                    yield Derived(at_ms=each.at_ms, kind="pair", score=0.5, rests_on=(one, each), subject=subject)


def ping(device: str, at_s: float, subject: str = "a") -> Observation:
    return observed("ping", device, DAY_MS + round(at_s * 1000), subject=subject)


def said(found: Sequence[Observation]) -> list[tuple[str, float, bool]]:
    return sorted((one.kind, (one.at_ms - DAY_MS) / 1000, one.withdrawn) for one in found if one.subject == "a")


def test_what_is_dated_ahead_counts_from_its_time_on_and_a_late_claim_takes_it_back() -> None:
    run = Listener(Gatherer(Echo(), HORIZON_MS))
    assert run.tick(DAY_MS + 10_000, [ping("A", 5)]) == []
    assert run.tick(DAY_MS + 94_999) == []
    assert said(run.tick(DAY_MS + 95_000)) == [("alone", 95.0, False)]
    assert run.tick(DAY_MS + 100_000) == []
    late = ping("B", 25)
    assert said(run.tick(DAY_MS + 110_000, [late])) == [("alone", 95.0, True), ("pair", 25.0, False)]
    assert said(run.tick(DAY_MS + 115_000)) == [("alone", 115.0, False)]
    back = run.tick(DAY_MS + 120_000, [replace(late, withdrawn=True)])
    assert said(back) == [("alone", 95.0, False), ("alone", 115.0, True), ("pair", 25.0, True)]


def test_a_claim_of_the_future_that_falls_before_its_time_is_never_said() -> None:
    run = Listener(Gatherer(Echo(), HORIZON_MS))
    run.tick(DAY_MS + 10_000, [ping("A", 5)])
    run.tick(DAY_MS + 60_000, [ping("B", 55)])
    assert said(run.tick(DAY_MS + 144_000)) == []
    assert said(run.tick(DAY_MS + 146_000)) == [("alone", 145.0, False)]


def test_what_is_old_is_forgotten_and_not_taken_back() -> None:
    gatherer = Gatherer(Echo(), HORIZON_MS)
    run = Listener(gatherer)
    run.tick(DAY_MS + 40_000, [ping("A", 10), ping("B", 20)])
    for at_s in range(50, 900, 10):
        run.tick(DAY_MS + at_s * 1000)
    assert [one for one in run.said if one.withdrawn] == []
    assert gatherer.state().recent == ()
    too_late = ping("C", 15)
    assert run.tick(DAY_MS + 910_000, [too_late]) == []


def test_a_derived_claim_has_the_source_of_the_newest_claim_it_rests_on() -> None:
    newest = replace(ping("B", 20), source_offset=17, source_partition=3, source_topic="camera.detections.v1")
    one = Derived(at_ms=DAY_MS, kind="pair", score=0.12345, rests_on=(newest, ping("A", 10)), value=1 / 3)
    made = observation_of("echo", "a", one)
    assert (made.source_topic, made.source_partition, made.source_offset) == ("camera.detections.v1", 3, 17)
    assert (made.device_id, made.witness_id, made.value) == ("B", "B", 0.333)
    assert made == observation_of("echo", "a", one._replace(score=0.1231))
    assert made.observation_id != observation_of("echo", "a", one._replace(score=0.5)).observation_id


@st.composite
def logs(draw: st.DrawFn) -> list[tuple[int, Observation]]:
    """Claims of 10 min with the ticks they come with, some late, some taken back, some of those made again."""
    found: dict[str, list[tuple[int, Observation]]] = {}
    for number in range(draw(st.integers(0, 25))):
        at_s = draw(st.integers(0, 600))
        one = ping(draw(st.sampled_from("ABC")), at_s, draw(st.sampled_from(["a", "a", "b", ""])))
        tick_ms, story = at_s * 1000 + STEP_MS, []
        for withdrawn in draw(
            st.sampled_from([(False,), (False,), (False, False), (False, True), (False, True, False)])
        ):
            tick_ms = min(tick_ms + draw(st.integers(0, LATENESS_MS // 3)), at_s * 1000 + LATENESS_MS)
            story.append((-(-tick_ms // STEP_MS) * STEP_MS, replace(one, withdrawn=withdrawn, source_offset=number)))
        found.setdefault(one.observation_id, story)
    return [each for story in found.values() for each in story]


def played(run: Listener, log: Sequence[tuple[int, Observation]], from_ms: int, until_ms: int) -> list[Observation]:
    found = []
    for tick_ms in range(from_ms, until_ms + 1, STEP_MS):
        due = [one for at_ms, one in log if at_ms == tick_ms]
        found += run.tick(DAY_MS + tick_ms, sorted(due, key=lambda one: (one.at_ms, one.observation_id)))
    return found


@settings(max_examples=60, deadline=None)
@given(logs(), st.integers(1, 130))
def test_what_stands_equals_the_plain_function_of_what_stands(log: list[tuple[int, Observation]], steps: int) -> None:
    run, until_ms = Listener(Gatherer(Echo(), HORIZON_MS)), steps * STEP_MS
    played(run, log, STEP_MS, until_ms)
    standing: dict[str, Observation] = {}
    for _, one in sorted([each for each in log if each[0] <= until_ms], key=lambda each: each[0]):
        if one.withdrawn:
            standing.pop(one.observation_id, None)
        else:
            standing.setdefault(one.observation_id, one)
    expected = set()
    for subject in ("a", "b", "all"):
        claims = canonical(one for one in standing.values() if subject in Echo().subjects(one))
        expected |= {observation_of("echo", subject, one) for one in Echo().derive(subject, claims)}
    oldest_ms = DAY_MS + until_ms - HORIZON_MS
    assert {one for one in run.standing.values() if one.at_ms >= oldest_ms} == {
        one for one in expected if oldest_ms <= one.at_ms <= DAY_MS + until_ms
    }


@settings(max_examples=40, deadline=None)
@given(logs(), st.integers(1, 100))
def test_restored_anywhere_it_says_what_it_would_have_said(log: list[tuple[int, Observation]], steps: int) -> None:
    stop_ms, end_ms = steps * STEP_MS, 1_300_000
    whole = Listener(Gatherer(Echo(), HORIZON_MS))
    before = played(whole, log, STEP_MS, stop_ms)
    parts = whole.gatherer.seal("part")
    state = whole.gatherer.state()
    again = Listener(Gatherer(Echo(), HORIZON_MS))
    again.gatherer.restore({"echo": state}, parts, DAY_MS + stop_ms)
    again.standing = dict(whole.standing)
    after = played(whole, log, stop_ms + STEP_MS, end_ms)
    assert played(again, log, stop_ms + STEP_MS, end_ms) == after
    assert before + after == whole.said


@settings(max_examples=40, deadline=None)
@given(logs(), st.randoms(use_true_random=False))
def test_order_of_arrival_within_the_lateness_bound_does_not_matter(
    log: list[tuple[int, Observation]], random: object
) -> None:
    claims = {one.observation_id: one for _, one in log if not one.withdrawn}
    ends = []
    for shuffled in (False, True):
        arrived = []
        for one in claims.values():
            late_ms = random.randint(STEP_MS, LATENESS_MS) if shuffled else STEP_MS  # type: ignore[attr-defined]
            arrived.append((-(-(one.at_ms - DAY_MS + late_ms) // STEP_MS) * STEP_MS, one))
        run = Listener(Gatherer(Echo(), HORIZON_MS))
        played(run, arrived, STEP_MS, 1_000_000)
        ends.append(run.standing)
    assert ends[0] == ends[1]
