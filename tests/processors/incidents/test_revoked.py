"""A revoked device: what it claimed counts no more, as if every claim of it had been taken back by itself."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.camera import camera_domain
from processors.checkpoint import Checkpoint
from schemas.records import Change, DeviceKind, DeviceRegistration, IncidentChange, IncidentState, ObservationBlock
from tests.processors.builders import T0_MS as LOG_MS
from tests.processors.builders import detection, log_of, run, tick
from tests.processors.builders import engine as partition_engine
from tests.processors.gatherings.test_bangs import NOON_MS, bang
from tests.processors.gatherings.test_stories import SOURCE, Story
from tests.processors.incidents.builders import DETECTIONS, T0_MS, Run, claim
from tests.processors.incidents.builders import engine as correlator
from tests.processors.incidents.test_engine_properties import (
    LENGTH_S,
    ORDERED,
    STEP_S,
    Arrival,
    arrivals,
    encoded,
)  # fmt: skip
from tests.processors.incidents.test_engine_properties import (
    log_of as blocks_of,
)

UNTIL_S = LENGTH_S + 400


def revoking(blocks: Sequence[ObservationBlock], tick_s: float, *devices: str) -> list[ObservationBlock]:
    """Those blocks; the camera partition's of a tick names revoked devices."""
    at = T0_MS + round(tick_s * 1000)
    return [
        replace(one, revoked=devices) if (one.tick_ms, one.source_topic) == (at, DETECTIONS[0]) else one
        for one in blocks
    ]


def told(changes: Sequence[IncidentChange]) -> list[tuple[float, str, Change, int]]:
    return [
        ((one.tick_ms - T0_MS) / 1000, one.incident.kind, one.change, len(one.incident.evidence)) for one in changes
    ]


def test_an_incident_that_rests_on_a_revoked_camera_alone_is_withdrawn() -> None:
    seen = [Arrival(10, claim("camera_crash", "CAM-1", 5)), Arrival(20, claim("camera_crash", "CAM-1", 15))]
    outcome = Run(ORDERED).push(revoking(blocks_of(seen, 40), 30, "CAM-1"))
    assert told(outcome)[0][1:3] == ("crash", Change.OPENED)
    assert told(outcome)[-1][:3] == (30, "crash", Change.WITHDRAWN)


def test_an_incident_that_others_saw_too_goes_on_without_it() -> None:
    seen = [Arrival(10, claim("camera_crash", "CAM-1", 5)), Arrival(10, claim("camera_crash", "CAM-2", 6))]
    outcome = Run(ORDERED).push(revoking(blocks_of(seen, 40), 30, "CAM-1"))
    assert told(outcome)[-1][0] == 30
    assert [one.device_id for one in outcome[-1].incident.evidence] == ["CAM-2"]
    assert outcome[-1].change is not Change.WITHDRAWN


def test_what_the_partition_knows_is_revoked_reaches_the_incident() -> None:
    gone = DeviceRegistration(
        registered_at_ms=LOG_MS, latitude_deg=21.0, longitude_deg=105.801, kind=DeviceKind.CAMERA, device_id="cam-1",
        retired=True, revoked=True,
    )  # fmt: skip
    log = [tick(LOG_MS), *(detection("cam-1", LOG_MS + 1_000 * n, confidence=0.95) for n in range(1, 4)),
           tick(LOG_MS + 5_000), gone, tick(LOG_MS + 10_000)]  # fmt: skip
    blocks = run(partition_engine(camera_domain(), topic=DETECTIONS[0]), log_of(log)).blocks
    machine = correlator(ORDERED, sources=[DETECTIONS])
    changes = machine.push(list(enumerate(blocks))).changes
    assert [(one.tick_ms - LOG_MS, one.change) for one in changes] == [
        (5_000, Change.OPENED),
        (10_000, Change.WITHDRAWN),
    ]
    assert machine.open_incidents() == ()


def test_what_was_derived_from_a_revoked_device_is_derived_anew() -> None:
    sounds = bang(120, -60, NOON_MS, "M1 M2 M3 M4")
    story = Story("explosion").tell(sounds, NOON_MS, NOON_MS + 10_000)
    assert story.states("explosion")[-1] is IncidentState.CONFIRMED
    notice = ObservationBlock(
        tick_ms=NOON_MS + 10_000, source_partition=SOURCE[1], source_topic=SOURCE[0], observations=(),
        revoked=("M1", "M2"),
    )  # fmt: skip
    (change,) = story.engine.push([(story.offset, notice)]).changes
    assert change.incident.state is IncidentState.WITHDRAWN  # two microphones locate nothing
    assert any(reason.startswith("evidence withdrawn: explosion located") for reason in change.reasons)


devices = st.sampled_from(["camera_crash-0", "camera_crash-1", "camera_smoke-0", "fire_alarm-1"])


def by_hand(arrived: Sequence[Arrival], device: str, tick_s: int) -> list[Arrival]:
    """The same arrivals, but that every claim of a device that came by a tick is taken back in it."""
    own = [one for one in arrived if one.observation.device_id == device and one.tick_s <= tick_s]
    kept = [one for one in arrived if one not in own or one.tick_s < tick_s]
    names = {one.observation.observation_id: one.observation for one in own}
    return [*kept, *(Arrival(tick_s, replace(one, withdrawn=True)) for one in names.values())]


@settings(deadline=None, max_examples=25)
@given(arrivals(), devices, st.integers(1, LENGTH_S // STEP_S))
def test_revoking_a_device_is_taking_back_each_of_its_claims(arrived: list[Arrival], device: str, step: int) -> None:
    tick_s = step * STEP_S
    once = Run(ORDERED).push(revoking(blocks_of(arrived, UNTIL_S), tick_s, device))
    assert encoded(once) == encoded(Run(ORDERED).push(blocks_of(by_hand(arrived, device, tick_s), UNTIL_S)))


@settings(deadline=None, max_examples=12)
@given(arrivals(), devices, st.integers(1, LENGTH_S // STEP_S), st.data())
def test_a_restart_does_not_bring_a_revoked_devices_claims_back(
    arrived: list[Arrival], device: str, step: int, data: st.DataObject
) -> None:
    blocks = list(enumerate(revoking(blocks_of(arrived, UNTIL_S), step * STEP_S, device)))
    whole, kept, checkpoints = correlator(ORDERED), dict[str, bytes](), list[tuple[Checkpoint, dict[str, bytes]]]()
    changes: list[IncidentChange] = []
    for one in blocks:
        outcome = whole.push([one])
        changes += outcome.changes
        if outcome.checkpoint is not None:
            kept |= outcome.checkpoint.new_parts
            checkpoints.append((outcome.checkpoint, dict(kept)))
    last, parts = data.draw(st.sampled_from(checkpoints))
    again = correlator(ORDERED)
    again.restore({name: parts[name] for name in last.live}, last.live, last.next_offset, last.tick_ms)
    rest = again.push(blocks[last.next_offset :]).changes
    assert encoded(rest) == encoded([one for one in changes if one.tick_ms > last.tick_ms])
