"""What must hold for any log: restarts, interleavings, shuffles, and equality with the plain computation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.checkpoint import Checkpoint
from processors.incidents.clusters import conclude
from processors.incidents.conditions import Conditions
from processors.incidents.drafts import REFRESH_MS
from processors.incidents.effects import centre_of, representative
from processors.incidents.engine import CorrelationRule
from processors.incidents.merge import SourceId
from processors.incidents.muting import Cause, explains
from processors.incidents.rule_model import Rule
from processors.incidents.rules import RuleSet, muting_first
from processors.incidents.verdict import Verdict
from schemas.codec import local_codec
from schemas.ids import EXERCISE
from schemas.records import (
    Decision,
    Incident,
    IncidentChange,
    IncidentState,
    Observation,
    ObservationBlock,
    OperatorAction,
)
from tests.processors.incidents.builders import (
    CITY,
    LANGUAGE,
    RULES,
    SOURCES,
    T0_MS,
    Run,
    action,
    block,
    blocks_at,
    claim,
    engine,
    judged_plainly,
    source_of,
)

STREET_KINDS = ("stationary_vehicle", "hard_stop", "moved_on", "right_way", "noise_high", "explosion_located")
KINDS = ("camera_crash", "impact_sound", "hard_stop", "stationary_vehicle", "camera_smoke", "fire_alarm", "heat")
STEP_S = 10
LENGTH_S = 900
LATENESS_S = 240
HORIZON_MS = 600_000
ORDERED = CorrelationRule(horizon_ms=HORIZON_MS, provisional_after_ms=0, block_ms=20_000, checkpoint_ms=40_000)
EARLY = replace(ORDERED, provisional_after_ms=10_000)


@dataclass(frozen=True)
class Arrival:
    tick_s: int
    observation: Observation


@st.composite
def arrivals(draw: st.DrawFn, lateness_s: int = LATENESS_S, kinds: Sequence[str] = KINDS) -> list[Arrival]:
    """Claims of 15 minutes at a few places, some late, some taken back, some of those made again."""
    found: dict[str, list[Arrival]] = {}
    for _ in range(draw(st.integers(1, 25))):
        kind, place = draw(st.sampled_from(kinds)), draw(st.integers(0, 3))
        at_s = draw(st.integers(0, LENGTH_S))
        one = claim(kind, f"{kind}-{draw(st.integers(0, 3))}", at_s, x_m=place * 150 + draw(st.integers(-3, 3)) * 10)
        if kinds is STREET_KINDS:
            device, way = draw(st.integers(0, 2)), draw(st.integers(-1, 1))
            one = replace(one, device_id=f"B{device}", witness_id=f"B{device}", subject=("", "Z-1", "Z-2")[device])
            one = replace(one, line_id="09A", direction_id=way, line_offset_m=place * 150.0, vehicle_class="BUS")
        tick_s = at_s + STEP_S
        story = []
        for withdrawn in draw(st.sampled_from([(False,), (False,), (False, True), (False, True, False)])):
            tick_s = min(tick_s + draw(st.integers(0, lateness_s // 3)), at_s + lateness_s)
            story.append(Arrival(-(-tick_s // STEP_S) * STEP_S, replace(one, withdrawn=withdrawn)))
        found.setdefault(one.observation_id, story)
    return [one for story in found.values() for one in story]


@dataclass(frozen=True)
class Acted:
    tick_s: int
    action: OperatorAction


def log_of(arrived: Sequence[Arrival], until_s: int, acted: Sequence[Acted] = ()) -> list[ObservationBlock]:
    blocks: list[ObservationBlock] = []
    for tick_s in range(STEP_S, until_s + 1, STEP_S):
        actions = [one.action for one in acted if one.tick_s == tick_s]
        blocks += blocks_at(tick_s, [one.observation for one in arrived if one.tick_s == tick_s], actions)
    return blocks


def drawn_actions(data: st.DataObject, changes: Iterable[IncidentChange], until_s: int) -> list[Acted]:
    """Up to eight actions about incidents that there are, early, in time or late, some of them sent twice.

    changes: of the same log without actions, which have no say in which incidents there are.
    """
    names = sorted({change.incident.incident_id for change in changes})
    acted = []
    for number in range(data.draw(st.integers(0, 8)) if names else 0):
        tick_s = data.draw(st.integers(1, until_s // STEP_S)) * STEP_S
        decision, name = data.draw(st.sampled_from(list(Decision))), data.draw(st.sampled_from(names))
        at_s = tick_s - data.draw(st.sampled_from([0, 1, 30]))
        assignee = f"ward {number}" if decision is Decision.ASSIGN else ""
        one = action(decision, name, at_s, f"operator {number}", assignee=assignee)
        acted.append(Acted(tick_s, one))
        if data.draw(st.booleans()):
            acted.append(Acted(min(tick_s + STEP_S * data.draw(st.integers(0, 9)), until_s), one))
    return acted


def encoded(changes: Iterable[IncidentChange]) -> list[bytes]:
    codec = local_codec()
    return [codec.encode(change) for change in changes]


def last_revisions(changes: Iterable[IncidentChange]) -> dict[str, Incident]:
    return {change.incident.incident_id: change.incident for change in changes}


UNTIL_S = LENGTH_S + LATENESS_S + HORIZON_MS // 1000 + 300


@settings(max_examples=30, deadline=None)
@given(arrivals())
def test_revisions_count_up_and_every_incident_ends(arrived: list[Arrival]) -> None:
    run = Run(ORDERED)
    run.push(log_of(arrived, UNTIL_S))
    revisions: dict[str, int] = {}
    for change in run.changes:
        one = change.incident
        assert one.revision == revisions.get(one.incident_id, 0) + 1
        assert change.reasons
        assert change.tick_ms == one.tick_ms
        assert one.evidence
        revisions[one.incident_id] = one.revision
    assert {one.state for one in last_revisions(run.changes).values()} <= {
        IncidentState.CLOSED,
        IncidentState.WITHDRAWN,
    }
    assert run.engine.open_incidents() == ()
    assert sum(frame.rows for frame in run.frames) == len(run.changes)


@settings(max_examples=30, deadline=None)
@given(arrivals(), st.data())
def test_open_incidents_equal_the_plain_computation(arrived: list[Arrival], data: st.DataObject) -> None:
    """At any tick the incidents are what `conclude` and `judge` make of all that stands."""
    until_s = data.draw(st.integers(1, LENGTH_S // STEP_S)) * STEP_S
    assert_plain(arrived, until_s, RULES)


@settings(max_examples=30, deadline=None)
@given(arrivals(kinds=STREET_KINDS), st.data())
def test_so_do_those_of_rules_of_every_key(arrived: list[Arrival], data: st.DataObject) -> None:
    assert_plain(arrived, data.draw(st.integers(1, LENGTH_S // STEP_S)) * STEP_S, LANGUAGE)


def assert_plain(arrived: list[Arrival], until_s: int, rules: RuleSet) -> None:
    """Rules that mute others come first; what their incidents explain is no claim to the others."""
    run = Run(replace(ORDERED, horizon_ms=10_000_000), rules)
    run.push(log_of(arrived, until_s))
    standing: dict[str, Observation] = {}
    for one in sorted(arrived, key=lambda one: one.tick_s):
        if one.tick_s <= until_s:
            standing[one.observation.observation_id] = one.observation
    expected, tick_ms = [], T0_MS + until_s * 1000
    by_id = {rule.id: rule for rule in rules.rules}
    causes: list[tuple[Rule, Cause]] = []
    for rule in [by_id[name] for name in muting_first(by_id)]:
        mutes = [(cause, mute) for by, cause in causes for mute in by.mutes if rule.id in mute.rules]
        stands = [
            one
            for one in standing.values()
            if not one.withdrawn and not any(explains(cause, mute, one) for cause, mute in mutes)
        ]
        weighed = [one for one in stands if Conditions(rule, CITY).weigh(one)]
        for verdict in (judged_plainly(cluster, rule, stands, tick_ms) for cluster in conclude(weighed, rule)):
            if verdict is not None:
                causes.append((rule, cause_by(verdict, rule)))
                quiet_ms = T0_MS + until_s * 1000 - verdict.evidence[-1].at_ms
                over = quiet_ms >= rule.resolve_after_s * 1000 or verdict.ended_by is not None
                state = IncidentState.RESOLVED if over else verdict.state
                expected.append((rule.kind, verdict.evidence[0].at_ms, verdict.score, verdict.witnesses, state))
    found = run.engine.open_incidents()
    assert sorted(expected) == sorted(
        (one.kind, one.opened_at_ms, one.score, one.witnesses, one.state) for one in found
    )


def cause_by(verdict: Verdict, rule: Rule) -> Cause:
    confirmed = verdict.state is IncidentState.CONFIRMED
    place = centre_of(representative(verdict.evidence), rule)
    return Cause("", rule.kind, confirmed, *place, verdict.evidence[0].at_ms, verdict.evidence[-1].at_ms)


@settings(max_examples=30, deadline=None)
@given(arrivals(), st.data())
def test_a_restart_changes_nothing(arrived: list[Arrival], data: st.DataObject) -> None:
    assert_restarts(arrived, data, RULES)


@settings(max_examples=20, deadline=None)
@given(arrivals(kinds=STREET_KINDS), st.data())
def test_a_restart_changes_nothing_with_rules_of_every_key(arrived: list[Arrival], data: st.DataObject) -> None:
    assert_restarts(arrived, data, LANGUAGE)


def assert_restarts(arrived: list[Arrival], data: st.DataObject, rules: RuleSet) -> None:
    """Stop after any push, go back to the last checkpoint, read again: the same revisions, rows and checkpoints."""
    rule, until_s = data.draw(st.sampled_from([ORDERED, EARLY])), LENGTH_S + 400
    stall = data.draw(stalls()) if rule is EARLY else None
    plain = Run(rule, rules)
    plain.push(held_back(log_of(arrived, until_s), stall))
    acted = drawn_actions(data, plain.changes, until_s)
    log = list(enumerate(held_back(log_of(arrived, until_s, acted), stall)))
    stops_at = data.draw(st.integers(0, len(log)))
    parts: dict[str, bytes] = {}
    last: Checkpoint | None = None
    killed = engine(rule, rules)
    for at in range(0, stops_at, 7):
        checkpoint = killed.push(log[at : min(at + 7, stops_at)]).checkpoint
        if checkpoint is not None:
            parts |= checkpoint.new_parts
            for gone in checkpoint.dropped:
                del parts[gone]
            last = checkpoint
    restarted, undisturbed = engine(rule, rules), engine(rule, rules)
    if last is not None:
        assert set(last.live) == set(parts)
        restarted.restore(parts, last.live, last.next_offset, last.tick_ms)
    start = restarted.next_offset
    undisturbed.push(log[:start])
    for at in range(start, len(log), 11):
        assert restarted.push(log[at : at + 11]) == undisturbed.push(log[at : at + 11])
    assert restarted.open_incidents() == undisturbed.open_incidents()
    assert restarted.next_offset == undisturbed.next_offset == len(log)


@dataclass(frozen=True)
class Stall:
    """A source whose blocks of some time come only at its end."""

    source: SourceId
    from_ms: int
    until_ms: int


@st.composite
def stalls(draw: st.DrawFn) -> Stall:
    from_ms = T0_MS + draw(st.integers(0, LENGTH_S)) * 1000
    return Stall(draw(st.sampled_from(SOURCES)), from_ms, from_ms + draw(st.integers(0, 200)) * 1000)


def held_back(blocks: Sequence[ObservationBlock], stall: Stall | None) -> list[ObservationBlock]:
    if stall is None:
        return list(blocks)
    order = [
        stall.until_ms
        if (one.source_topic, one.source_partition) == stall.source and stall.from_ms < one.tick_ms < stall.until_ms
        else one.tick_ms
        for one in blocks
    ]
    return [blocks[index] for index in sorted(range(len(blocks)), key=lambda index: (order[index], index))]


@settings(max_examples=30, deadline=None)
@given(arrivals(), st.data())
def test_ordered_revisions_do_not_depend_on_how_blocks_interleave(arrived: list[Arrival], data: st.DataObject) -> None:
    until_s = LENGTH_S + 400
    plain, straight, disturbed = Run(ORDERED), Run(ORDERED), Run(ORDERED)
    plain.push(log_of(arrived, until_s))
    blocks = log_of(arrived, until_s, drawn_actions(data, plain.changes, until_s))
    straight.push(blocks)
    disturbed.push(held_back(held_back(blocks, data.draw(stalls())), data.draw(stalls())))
    assert encoded(straight.changes) == encoded(disturbed.changes)


@settings(max_examples=40, deadline=None)
@given(arrivals(), st.data())
def test_actions_are_about_what_their_incidents_went_on_as(arrived: list[Arrival], data: st.DataObject) -> None:
    """Of provisional ones too: those that apply, their order and the state they make follow from what is published."""
    rule, stall = replace(EARLY, horizon_ms=10_000_000), data.draw(stalls())
    plain, run = Run(rule), Run(rule)
    plain.push(held_back(log_of(arrived, LENGTH_S), stall))
    acted = drawn_actions(data, plain.changes, LENGTH_S)
    run.push(held_back(log_of(arrived, LENGTH_S, acted), stall))
    latest = last_revisions(run.changes)

    def owner(name: str) -> str:
        while latest[name].state is IncidentState.WITHDRAWN and latest[name].merged_into:
            name = latest[name].merged_into
        return name

    taken: dict[str, OperatorAction] = {}
    for one in sorted(acted, key=lambda one: (one.tick_s, one.action.at_ms, one.action.action_id)):
        taken.setdefault(one.action.action_id, one.action)
    judged = {one.incident_id: one.state for one in plain.engine.open_incidents()}
    for incident in run.engine.open_incidents():
        actions = tuple(one for one in taken.values() if owner(one.incident_id) == incident.incident_id)
        assert incident.actions == actions
        named = [one.assignee for one in actions if one.decision is Decision.ASSIGN]
        assert incident.assigned_to == (named[-1] if named else "")
        assert incident.state in states_decided(incident, judged[incident.incident_id])


def states_decided(incident: Incident, judged: IncidentState) -> set[IncidentState]:
    """Return the states that actions may make of what evidence alone makes.

    Two where the record leaves it open: its newest evidence is up to a minute newer than it says, when witnesses only
    repeat themselves.
    """
    said, over_ms = None, -1
    for one in incident.actions:
        match one.decision:
            case Decision.CONFIRM | Decision.DISMISS:
                said, over_ms = one.decision, -1
            case Decision.RESOLVE:
                said, over_ms = None if said is Decision.DISMISS else said, max(over_ms, one.at_ms)
    if said is Decision.DISMISS:
        return {IncidentState.DISMISSED}
    goes_on = judged
    if said is Decision.CONFIRM and judged is IncidentState.SUSPECTED:
        goes_on = IncidentState.CONFIRMED
    if over_ms < incident.last_evidence_at_ms:
        return {goes_on}
    sure = over_ms >= (incident.last_evidence_at_ms // REFRESH_MS + 1) * REFRESH_MS
    return {IncidentState.RESOLVED} if sure else {IncidentState.RESOLVED, goes_on}


@settings(max_examples=20, deadline=None)
@given(arrivals(), arrivals())
def test_exercises_and_real_incidents_know_nothing_of_each_other(real: list[Arrival], drill: list[Arrival]) -> None:
    marked = [
        replace(one, observation=replace(
            one.observation,
            observation_id=f"{one.observation.observation_id}x",
            device_id=f"{EXERCISE}{one.observation.device_id}",
        ))
        for one in drill
    ]  # fmt: skip
    both, real_alone, drill_alone = Run(EARLY), Run(EARLY), Run(EARLY)
    both.push(log_of([*real, *marked], UNTIL_S))
    real_alone.push(log_of(real, UNTIL_S))
    drill_alone.push(log_of(marked, UNTIL_S))
    told: dict[bool, list[IncidentChange]] = {False: [], True: []}
    for change in both.changes:
        told[change.incident.exercise].append(change)
    assert told[False] == real_alone.changes
    assert told[True] == drill_alone.changes
    assert all(change.reasons[0].startswith("EXERCISE") for change in told[True])
    assert last_revisions(told[False]).keys().isdisjoint(last_revisions(told[True]))


@settings(max_examples=30, deadline=None)
@given(arrivals(), st.data())
def test_provisional_incidents_end_and_leave_the_ordered_ones_alone(
    arrived: list[Arrival], data: st.DataObject
) -> None:
    blocks = held_back(log_of(arrived, UNTIL_S), data.draw(stalls()))
    plain, early = Run(ORDERED), Run(EARLY)
    plain.push(blocks)
    early.push(blocks)

    assert turns(early.changes) == turns(plain.changes)
    last = last_revisions(early.changes)
    replaced = {name for one in last.values() for name in one.replaces}
    for name, one in last.items():
        if one.provisional:
            assert one.state is IncidentState.WITHDRAWN
            assert bool(one.merged_into) == (name in replaced)
            if one.merged_into:
                assert name in last[one.merged_into].replaces


def turns(changes: Iterable[IncidentChange]) -> dict[str, list[tuple[IncidentState, int]]]:
    """When each ordered incident came into which state: a revision that only says what it replaces is no turn."""
    found: dict[str, list[tuple[IncidentState, int]]] = {}
    for change in changes:
        one = change.incident
        if not one.provisional:
            known = found.setdefault(one.incident_id, [])
            if not known or known[-1][0] is not one.state:
                known.append((one.state, one.tick_ms))
    return found


@settings(max_examples=30, deadline=None)
@given(arrivals(), st.randoms(use_true_random=False))
def test_shuffling_within_the_lateness_bound_leaves_the_same_final_incidents(
    arrived: list[Arrival], random: object
) -> None:
    """Up to ids and revision numbers."""
    claims = {one.observation.observation_id: one.observation for one in arrived if not one.observation.withdrawn}
    shuffled = []
    for one in claims.values():
        at_s = (one.at_ms - T0_MS) // 1000
        tick_s = at_s + random.randint(STEP_S, LATENESS_S)  # type: ignore[attr-defined]
        shuffled.append(Arrival(-(-tick_s // STEP_S) * STEP_S, one))
    prompt = [
        Arrival(-(-(one.at_ms - T0_MS + STEP_S * 1000) // (STEP_S * 1000)) * STEP_S, one) for one in claims.values()
    ]
    finals = []
    for order in (prompt, shuffled):
        run = Run(ORDERED)
        run.push(log_of(order, UNTIL_S))
        finals.append(
            sorted(
                (
                    replace(one, incident_id="", revision=0, tick_ms=0)
                    for one in last_revisions(run.changes).values()
                    if one.state is IncidentState.CLOSED
                ),
                key=lambda one: (one.opened_at_ms, one.kind, one.latitude_deg, one.longitude_deg),
            )
        )
    assert finals[0] == finals[1]


def test_a_repeated_block_changes_nothing() -> None:
    smoke = claim("camera_smoke", "CAM-1", 1)
    run = Run(ORDERED)
    run.push(blocks_at(5, [smoke]))
    assert run.push([block(source_of(smoke.kind), 5, [smoke])]) == []
    assert run.tick(10, [smoke]) == []
    assert len(run.changes) == 1
