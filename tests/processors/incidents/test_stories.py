"""Each story as a literal timeline: seconds, metres, and what the rules of Hanoi make of it."""

from processors.incidents.engine import CorrelationRule
from schemas.records import Change, IncidentChange, IncidentState, Severity
from tests.processors.incidents.builders import RULES, T0_MS, Run, claim


def told(changes: list[IncidentChange]) -> list[tuple[float, str, str]]:
    return [((one.tick_ms - T0_MS) / 1000, one.incident.kind, one.change.value) for one in changes]


# --- what is no crash -------------------------------------------------------------------------------------------------


def test_a_hard_stop_alone_is_nothing() -> None:
    assert Run().story(claim("hard_stop", "TX-1", 10, score=0.9), until_s=60) == []


def test_a_stationary_vehicle_alone_is_nothing() -> None:
    assert Run().story(claim("stationary_vehicle", "TX-1", 40), until_s=60) == []


def test_an_impact_sound_alone_is_nothing() -> None:
    assert Run().story(claim("impact_sound", "MIC-1", 10, score=0.9), until_s=60) == []


def test_a_taxi_that_brakes_at_a_light_and_waits_is_nothing() -> None:
    stop, wait = claim("hard_stop", "TX-1", 10, score=0.6), claim("stationary_vehicle", "TX-1", 35)
    assert Run().story(stop, wait, until_s=120) == []


def test_a_queue_that_forms_at_a_red_light_is_nothing() -> None:
    """Five vehicles roll up 18 s apart, each brakes from 30 km/h behind the other and waits; green after 90 s."""
    claims = []
    for number in range(5):
        name, at_s, x_m = f"TX-{number}", 10 + number * 18.0, -number * 8.0
        claims.append(claim("hard_stop", name, at_s, x_m=x_m))
        claims.append(claim("stationary_vehicle", name, at_s + 20, x_m=x_m))
        claims.append(claim("moved_on", name, 100 + number * 3.0, x_m=x_m + 30.0))
    assert Run().story(*claims, until_s=200) == []


def test_vehicles_that_stop_together_and_drive_on_are_nothing() -> None:
    """A platoon stopped by a light: hard stops seconds apart, but green comes before anybody has stood for long."""
    assert Run().story(*(claim("hard_stop", f"TX-{n}", 10 + n * 2, x_m=-n * 7) for n in range(4)), until_s=120) == []


def test_parked_taxis_are_nothing() -> None:
    stands = [claim("stationary_vehicle", f"TX-{n}", 10 + n * 3, x_m=n * 6) for n in range(6)]
    assert Run().story(*stands, until_s=120) == []


def test_a_busy_junction_all_day_is_nothing() -> None:
    """A vehicle every 25 s for half an hour brakes at the same lights; every third one waits long."""
    stops = [claim("hard_stop", f"TX-{n}", 10 + n * 25, x_m=(n % 5) * 12) for n in range(72)]
    stands = [claim("stationary_vehicle", f"TX-{n}", 35 + n * 25, x_m=(n % 5) * 12) for n in range(0, 72, 3)]
    assert Run().story(*stops, *stands, until_s=1900) == []


def test_a_weak_camera_claim_is_nothing() -> None:
    assert Run().story(claim("camera_crash", "CAM-1", 10, score=0.45), until_s=60) == []


# --- what may be one --------------------------------------------------------------------------------------------------


def test_a_camera_alone_is_suspected() -> None:
    changes = Run().story(claim("camera_crash", "CAM-1", 10, score=0.62), until_s=60)
    assert told(changes) == [(10.25, "crash", "OPENED")]
    incident = changes[0].incident
    assert incident.state is IncidentState.SUSPECTED
    assert incident.severity is Severity.MODERATE
    assert (incident.score, incident.witnesses) == (0.434, 1)
    assert changes[0].reasons == ("suspected: crash by camera CAM-1",)


def test_a_camera_that_claims_twice_is_still_one_witness() -> None:
    changes = Run().story(claim("camera_crash", "CAM-1", 10), claim("camera_crash", "CAM-1", 25), until_s=40)
    assert told(changes) == [(10.25, "crash", "OPENED")]


def test_a_microphone_on_the_cameras_pole_is_no_second_witness() -> None:
    sound = claim("impact_sound", "MIC-1", 10, witness_id="CAM-1")
    run = Run()
    run.story(sound, claim("camera_crash", "CAM-1", 12), until_s=60)
    assert [one.incident.state for one in run.changes] == [IncidentState.SUSPECTED]


def test_an_impact_that_three_heard_and_a_hard_stop_are_suspected() -> None:
    sounds = [claim("impact_sound", f"MIC-{number}", 10, x_m=number * 40) for number in range(3)]
    changes = Run().story(*sounds, claim("hard_stop", "TX-1", 14, x_m=90), until_s=60)
    assert told(changes) == [(14.25, "crash", "OPENED")]
    assert changes[0].incident.state is IncidentState.SUSPECTED


def test_a_horn_and_a_hard_stop_are_nothing() -> None:
    sounds = [claim("impact_sound", f"MIC-{number}", 10, x_m=number * 40) for number in range(2)]
    assert Run().story(*sounds, claim("hard_stop", "TX-1", 14, x_m=90), until_s=120) == []


def test_an_impact_and_one_that_braked_and_stays_are_confirmed_whoever_goes_on_past_it() -> None:
    """45 s later it has not gone on itself; that it is claimed to stand again two minutes later takes nothing back."""
    changes = Run().story(
        claim("impact_sound", "MIC-1", 10), claim("hard_stop", "TX-1", 14, x_m=90),
        claim("stationary_vehicle", "TX-1", 30, x_m=95), claim("moved_on", "BUS-2", 50, x_m=90),
        claim("stationary_vehicle", "TX-1", 150, x_m=85), until_s=300,
    )  # fmt: skip
    assert told(changes) == [(75.0, "crash", "OPENED"), (150.25, "crash", "CHANGED")]
    assert changes[0].incident.state is IncidentState.CONFIRMED


def test_an_impact_and_one_that_braked_and_goes_on_are_nothing() -> None:
    changes = Run().story(
        claim("impact_sound", "MIC-1", 10), claim("hard_stop", "TX-1", 14, x_m=90),
        claim("stationary_vehicle", "TX-1", 30, x_m=95), claim("moved_on", "TX-1", 60, x_m=140), until_s=300,
    )  # fmt: skip
    assert changes == []


def test_an_impact_and_a_hard_stop_half_a_minute_later_are_nothing() -> None:
    assert Run().story(claim("impact_sound", "MIC-1", 10), claim("hard_stop", "TX-1", 41, x_m=90), until_s=60) == []


def test_two_vehicles_that_brake_and_stand_at_one_position_are_suspected() -> None:
    """Linear Road's accident: two vehicles stopped at one position; a minute later nobody near has gone on."""
    changes = Run().story(
        claim("hard_stop", "TX-1", 10), claim("hard_stop", "BUS-2", 16, x_m=12),
        claim("stationary_vehicle", "TX-1", 38), claim("stationary_vehicle", "BUS-2", 44, x_m=10), until_s=120,
    )  # fmt: skip
    assert told(changes) == [(105.0, "crash", "OPENED")]
    assert changes[0].incident.state is IncidentState.SUSPECTED
    assert changes[0].incident.witnesses == 2


def test_one_that_brakes_beside_another_that_stands_is_suspected_while_nobody_near_goes_on() -> None:
    stands = (
        claim("hard_stop", "TX-1", 10), claim("stationary_vehicle", "TX-1", 32),
        claim("stationary_vehicle", "BUS-2", 40, x_m=20),
    )  # fmt: skip
    assert told(Run().story(*stands, until_s=120)) == [(100.0, "crash", "OPENED")]
    for other in (claim("moved_on", "TX-3", 70, x_m=90), claim("slow_progress", "TX-3", 70, x_m=90)):
        assert Run().story(*stands, other, until_s=120) == []


def test_a_platoon_at_a_long_red_light_is_at_most_suspected() -> None:
    """What GPS alone cannot tell from two vehicles that ran into each other is never confirmed by more GPS."""
    run = Run()
    for_long = [claim("stationary_vehicle", f"TX-{n}", 40 + n, x_m=-n * 7) for n in range(4)]
    run.story(*(claim("hard_stop", f"TX-{n}", 10 + n * 3, x_m=-n * 7) for n in range(4)), *for_long, until_s=120)
    assert {one.incident.state for one in run.changes} == {IncidentState.SUSPECTED}


def test_two_such_vehicles_forty_metres_apart_are_nothing() -> None:
    claims = [
        claim(kind, name, at_s, x_m=x_m)
        for name, x_m in (("TX-1", 0), ("TX-2", 40))
        for kind, at_s in (("hard_stop", 10), ("stationary_vehicle", 38))
    ]
    assert Run().story(*claims, until_s=100) == []


# --- what is one ------------------------------------------------------------------------------------------------------


def test_a_camera_and_a_hard_stop_confirm() -> None:
    changes = Run().story(claim("camera_crash", "CAM-1", 10), claim("hard_stop", "TX-1", 13, y_m=80), until_s=60)
    assert told(changes) == [(10.25, "crash", "OPENED"), (13.25, "crash", "CONFIRMED")]
    incident = changes[1].incident
    assert (incident.state, incident.severity, incident.revision) == (IncidentState.CONFIRMED, Severity.SEVERE, 2)
    assert changes[1].reasons == ("confirmed: hard stop by TX-1 80 m away, 3 s after the crash",)


def test_a_camera_and_a_vehicle_that_stands_since_confirm() -> None:
    changes = Run().story(
        claim("camera_crash", "CAM-1", 10), claim("stationary_vehicle", "BUS-1", 40, y_m=60), until_s=60
    )
    assert told(changes) == [(10.25, "crash", "OPENED"), (40.25, "crash", "CONFIRMED")]


def test_a_camera_and_an_impact_sound_confirm() -> None:
    changes = Run().story(
        claim("camera_crash", "CAM-1", 12, x_m=100), claim("impact_sound", "MIC-1", 10, x_m=-60), until_s=60
    )
    assert told(changes) == [(12.25, "crash", "OPENED")]
    assert changes[0].incident.state is IncidentState.CONFIRMED


def test_a_camera_and_traffic_a_minute_later_do_not_confirm() -> None:
    """A false detection at a junction where somebody brakes 40 s later."""
    changes = Run().story(claim("camera_crash", "CAM-1", 10), claim("hard_stop", "TX-1", 50, x_m=30), until_s=90)
    assert told(changes) == [(10.25, "crash", "OPENED")]
    assert len(changes[0].incident.evidence) == 1


def test_what_happens_nearby_is_no_evidence_and_does_not_move_the_place() -> None:
    before = claim("hard_stop", "TX-8", 0.5, x_m=150)
    run = Run()
    changes = run.story(before, claim("camera_crash", "CAM-1", 30), claim("hard_stop", "TX-1", 31), until_s=60)
    assert changes[-1].incident.radius_m == 0.0
    assert {one.device_id for one in changes[-1].incident.evidence} == {"CAM-1", "TX-1"}


# --- fires ------------------------------------------------------------------------------------------------------------


def test_every_single_source_of_a_fire_is_suspected() -> None:
    for kind in ("camera_smoke", "camera_fire", "smoke", "heat", "fire_alarm"):
        changes = Run().story(claim(kind, "D-1", 10, score=0.6), until_s=60)
        assert told(changes) == [(10.25, "fire", "OPENED")]
        assert changes[0].incident.state is IncidentState.SUSPECTED
        assert changes[0].incident.severity is Severity.SEVERE


def test_smoke_on_camera_confirms_a_panel() -> None:
    changes = Run().story(
        claim("fire_alarm", "P-1", 10, score=0.7), claim("camera_smoke", "CAM-2", 22, x_m=40), until_s=60
    )
    assert told(changes) == [(10.25, "fire", "OPENED"), (22.25, "fire", "CONFIRMED")]
    assert changes[1].reasons == ("confirmed: smoke by camera CAM-2 40 m away, 12 s after the fire alarm",)
    assert changes[1].incident.severity is Severity.EXTREME


def test_corroboration_holds_up_to_200_m_and_120_s() -> None:
    def states(x_m: float, at_s: float) -> list[str]:
        run = Run()
        run.story(claim("fire_alarm", "P-1", 10), claim("camera_smoke", "CAM-2", at_s, x_m=x_m), until_s=180)
        return [one.incident.state.value for one in run.changes]

    assert states(199, 129) == ["SUSPECTED", "CONFIRMED"]
    assert states(199, 131) == ["SUSPECTED", "SUSPECTED"]
    assert states(201, 129) == ["SUSPECTED", "SUSPECTED"]


def test_smoke_and_heat_of_one_device_do_not_confirm() -> None:
    run = Run()
    run.story(claim("smoke", "P-1", 10), claim("heat", "P-1", 20), claim("fire_alarm", "P-1", 25), until_s=60)
    assert {one.incident.state for one in run.changes} == {IncidentState.SUSPECTED}
    assert run.changes[-1].incident.witnesses == 1


# --- lifecycle --------------------------------------------------------------------------------------------------------


def test_an_incident_is_resolved_and_closed_by_ticks() -> None:
    run = Run()
    changes = run.story(claim("camera_smoke", "CAM-1", 10), until_s=2000)
    assert told(changes) == [(10.25, "fire", "OPENED"), (310.0, "fire", "RESOLVED"), (1815.0, "fire", "CLOSED")]
    assert [one.reasons for one in changes[1:]] == [
        ("no new evidence for 5 min",),
        ("closed: no new evidence for 30 min",),
    ]
    assert run.engine.open_incidents() == ()
    assert [one.incident.revision for one in changes] == [1, 2, 3]


def test_new_evidence_puts_resolution_off() -> None:
    changes = Run().story(claim("camera_smoke", "CAM-1", 10), claim("camera_smoke", "CAM-1", 200), until_s=600)
    assert told(changes) == [(10.25, "fire", "OPENED"), (200.25, "fire", "CHANGED"), (500.0, "fire", "RESOLVED")]
    assert changes[1].reasons == ("claimed again by its witnesses",)


def test_withdrawn_evidence_takes_confirmation_and_then_the_incident_back() -> None:
    smoke, alarm = claim("camera_smoke", "CAM-1", 10), claim("fire_alarm", "P-1", 20)
    run = Run()
    run.story(smoke, alarm, until_s=30)
    (weaker,) = run.tick(31, [claim("fire_alarm", "P-1", 20, withdrawn=True)])
    assert (weaker.change, weaker.incident.state) == (Change.CHANGED, IncidentState.SUSPECTED)
    assert weaker.reasons == ("no longer confirmed", "evidence withdrawn: fire alarm by sensor P-1")
    (gone,) = run.tick(32, [claim("camera_smoke", "CAM-1", 10, withdrawn=True)])
    assert (gone.change, gone.incident.state, gone.incident.revision) == (Change.WITHDRAWN, IncidentState.WITHDRAWN, 4)
    assert gone.reasons == ("evidence withdrawn: smoke by camera CAM-1",)
    assert run.engine.open_incidents() == ()
    (again,) = run.tick(33, [smoke])
    assert (again.change, again.incident.incident_id, again.incident.revision) == (
        Change.OPENED, gone.incident.incident_id, 5,
    )  # fmt: skip


def test_the_effects_name_lines_stops_and_trips() -> None:
    changes = Run().story(claim("camera_crash", "CAM-1", 10, y_m=120), until_s=20)
    incident = changes[0].incident
    assert [(line.line_id, line.direction_id) for line in incident.lines] == [("09A", 0)]
    assert 119 < incident.lines[0].distance_m < 121
    assert incident.stop_ids == ("S1",)
    assert {trip.line_id for trip in incident.due_trips} == {"09A"}
    assert all(0 <= trip.due_at_ms - incident.tick_ms <= 900_000 for trip in incident.due_trips)
    far = Run().story(claim("camera_crash", "CAM-1", 10, y_m=400), until_s=20)[0].incident
    assert (far.lines, far.stop_ids, far.due_trips) == ((), (), ())


def test_every_revision_is_one_row_under_the_offset_of_the_block_that_completed_its_tick() -> None:
    run = Run(CorrelationRule(provisional_after_ms=0))
    run.story(claim("camera_smoke", "CAM-1", 10), claim("fire_alarm", "P-1", 20), until_s=30)
    assert [frame.rows for frame in run.frames] == [1, 1]
    assert {frame.table for frame in run.frames} == {"incident_log"}
    assert {(frame.source_topic, frame.source_partition) for frame in run.frames} == {("observations.v1", 0)}
    for before, after in zip(run.frames, run.frames[1:], strict=False):
        assert before.first_offset <= before.last_offset < after.first_offset
    assert run.changes[0].incident.rules_version == RULES.version
