"""A source stalls: life-safety incidents come early, under their own ids, and the ordered ones take over."""

from collections.abc import Sequence

from processors.incidents.engine import CorrelationRule
from schemas.records import Change, IncidentState, Observation, ObservationBlock
from tests.processors.incidents.builders import ACTIONS, DETECTIONS, POSITIONS, READINGS, Run, block, claim, source_of

SMOKE = claim("camera_smoke", "CAM-1", 1.1)
ALARM = claim("fire_alarm", "P-1", 2.1, x_m=50)
HEAT = claim("heat", "P-2", 9.0, x_m=20)
QUICK = CorrelationRule(checkpoint_ms=1_000)


def others(from_s: float, until_s: float, *claims: Observation) -> list[ObservationBlock]:
    """Blocks of cameras, sensors and operators; vehicles are stalled."""
    blocks = []
    for step in range(round(from_s * 4) + 1, round(until_s * 4) + 1):
        for source in (DETECTIONS, READINGS, ACTIONS):
            due = [one for one in claims if source_of(one.kind) == source and _tick(one) == step]
            blocks.append(block(source, step / 4, due))
    return blocks


def vehicles(from_s: float, until_s: float) -> list[ObservationBlock]:
    return [block(POSITIONS, step / 4) for step in range(round(from_s * 4) + 1, round(until_s * 4) + 1)]


def _tick(one: Observation) -> int:
    return -(-(one.at_ms % 1_000_000) // 250)


def told(run: Run, blocks: Sequence[ObservationBlock]) -> list[tuple[Change, bool, int]]:
    return [(one.change, one.incident.provisional, one.incident.revision) for one in run.push(blocks)]


def test_provisional_incidents_wait_for_two_seconds_of_stall() -> None:
    run = Run(CorrelationRule())
    run.push(vehicles(0, 0.25))
    assert told(run, others(0, 2.25, SMOKE)) == []
    assert told(run, others(2.25, 2.5)) == [(Change.OPENED, True, 1)]
    early = run.changes[0].incident
    assert early.incident_id.startswith("p-")
    assert early.state is IncidentState.SUSPECTED
    assert run.engine.open_incidents() == ()
    assert told(run, others(2.5, 3.0)) == []


def test_a_provisional_incident_is_confirmed_once_and_then_replaced() -> None:
    run = Run(CorrelationRule())
    run.push(vehicles(0, 0.25))
    assert told(run, others(0, 10, SMOKE, ALARM, HEAT)) == [(Change.OPENED, True, 1)]  # both wait when the stall begins
    assert run.changes[0].incident.state is IncidentState.CONFIRMED
    told_late = told(run, vehicles(0.25, 10))
    assert told_late == [
        (Change.OPENED, False, 1),
        (Change.WITHDRAWN, True, 2),
        (Change.CONFIRMED, False, 2),
        (Change.CHANGED, False, 3),
    ]
    ordered, ended = run.changes[1].incident, run.changes[2].incident
    assert ordered.replaces == (run.changes[0].incident.incident_id,)
    assert ended.merged_into == ordered.incident_id
    assert ended.incident_id == run.changes[0].incident.incident_id


def test_a_stall_confirms_what_it_showed_as_suspected() -> None:
    run = Run(CorrelationRule())
    run.push(vehicles(0, 0.25))
    late_alarm = claim("fire_alarm", "P-1", 5.1, x_m=50)
    assert told(run, others(0, 8, SMOKE, late_alarm, HEAT)) == [(Change.OPENED, True, 1), (Change.CONFIRMED, True, 2)]


def test_a_provisional_incident_is_withdrawn_when_its_evidence_was() -> None:
    run = Run(CorrelationRule())
    run.push(vehicles(0, 0.25))
    back = claim("camera_smoke", "CAM-1", 1.1, withdrawn=True)
    run.push(others(0, 3, SMOKE))
    run.push([block(DETECTIONS, 3.25, [back])])
    assert told(run, vehicles(0.25, 3.0)) == [(Change.OPENED, False, 1), (Change.WITHDRAWN, True, 2)]
    assert told(run, [block(READINGS, 3.25), block(ACTIONS, 3.25), block(POSITIONS, 3.25)]) == [
        (Change.WITHDRAWN, False, 2)
    ]
    assert run.changes[-1].reasons == ("evidence withdrawn: smoke by camera CAM-1",)


def test_what_the_ordered_incidents_rest_on_is_not_published_again() -> None:
    run = Run(CorrelationRule())
    run.push(vehicles(0, 1.5))
    assert told(run, others(0, 8, SMOKE, ALARM)) == [(Change.OPENED, False, 1)]


def test_zero_switches_provisional_incidents_off() -> None:
    run = Run(CorrelationRule(provisional_after_ms=0))
    run.push(vehicles(0, 0.25))
    assert told(run, others(0, 60, SMOKE, ALARM)) == []


def test_a_restart_in_a_stall_neither_forgets_nor_repeats() -> None:
    """At the checkpoint after 1.0 s, smoke has been published early, the alarm is in a block that waits."""
    log = [*vehicles(0, 0.25), *others(0, 4, SMOKE), *vehicles(0.25, 1.0)]
    alarm = claim("fire_alarm", "P-1", 4.1, x_m=50)
    after = [*others(4, 8, alarm), *vehicles(1.0, 8)]
    undisturbed = Run(QUICK)
    undisturbed.push(log)
    assert [one.incident.provisional for one in undisturbed.changes] == [True]
    checkpoint = undisturbed.checkpoints[-1]
    assert checkpoint.next_offset == len(log)
    restarted = Run(QUICK)
    restarted.engine.restore(checkpoint.new_parts, checkpoint.live, checkpoint.next_offset, checkpoint.tick_ms)
    restarted.offset = checkpoint.next_offset
    assert restarted.push(after) == undisturbed.push(after)
    assert [(one.change, one.incident.provisional) for one in restarted.changes] == [
        (Change.CONFIRMED, True),
        (Change.OPENED, False),
        (Change.WITHDRAWN, True),
        (Change.CONFIRMED, False),
    ]
