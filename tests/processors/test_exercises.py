"""Exercises: scripts that the rules confirm, from devices that do not exist, anywhere in the city."""

from pathlib import Path

import pytest

from processors.camera import camera_domain
from processors.city import City, load_city
from processors.domain import Domain
from processors.fleet import fleet_domain
from processors.incidents.rules import load_rules
from processors.ingest import IngestRule
from processors.partition_engine import PartitionEngine
from processors.records_in import RawRecord
from processors.sensors import sensor_domain
from processors.simulate.inject import SCRIPTS, Cue, exercise
from processors.simulate.rule import DETECTIONS, POSITIONS, READINGS
from schemas.errors import UsageError
from schemas.ids import is_exercise
from schemas.records import Observation, Tick
from streams.cli.inject import KINDS
from tests.processors.builders import CODEC, T0_MS

HANOI = Path(__file__).parents[2] / "cities" / "hanoi"
PLACE = 21.0285, 105.8542
DOMAINS: dict[str, Domain] = {POSITIONS: fleet_domain(), DETECTIONS: camera_domain(), READINGS: sensor_domain()}


@pytest.fixture(scope="module")
def hanoi() -> City:
    return load_city(HANOI)


def observed(cues: tuple[Cue, ...], city: City) -> list[Observation]:
    """What the partition engines make of it; nothing may be rejected."""
    found: list[Observation] = []
    for topic, domain in DOMAINS.items():
        records = [cue.sent.record for cue in cues if cue.sent.topic == topic]
        log = [*(Tick(at_ms=T0_MS),), *records, Tick(at_ms=T0_MS + 20_000)]
        machine = PartitionEngine(topic, 0, 1, domain, CODEC, city, IngestRule())
        outcome = machine.push([RawRecord(offset, None, CODEC.encode(one)) for offset, one in enumerate(log)])
        assert outcome.rejected == ()
        found += [one for block in outcome.blocks for one in block.observations]
    return found


@pytest.mark.parametrize("kind", SCRIPTS)
@pytest.mark.parametrize("seed", [0, 7, 8])
def test_scripts_hold_evidence_of_independent_witnesses(kind: str, seed: int, hanoi: City) -> None:
    found = observed(exercise(kind, *PLACE, T0_MS, seed, hanoi), hanoi)
    rule = next(rule for rule in load_rules(HANOI / "rules").rules if rule.kind == kind)
    assert {one.kind for one in found} <= set(rule.evidence)
    expected = {"crash": {"camera_crash", "impact_sound", "hard_stop"},
                "fire": {"camera_fire", "camera_smoke", "fire_alarm", "smoke", "heat"},
                "explosion": {"impact_sound"},
                "gas_leak": {"gas"},
                "person_down": {"camera_person_down"},
                "person_in_water": {"camera_person_in_water"}}  # fmt: skip
    assert {one.kind for one in found} == expected[kind]
    assert len({one.witness_id for one in found}) >= 3
    assert all(is_exercise(one.device_id) and is_exercise(one.witness_id) for one in found)


def test_records_are_a_function_of_kind_place_time_and_seed(hanoi: City) -> None:
    one = exercise("crash", *PLACE, T0_MS, 7, hanoi)
    assert [CODEC.encode(cue.sent.record) for cue in one] == [
        CODEC.encode(cue.sent.record) for cue in exercise("crash", *PLACE, T0_MS, 7, hanoi)
    ]
    others = [
        exercise("crash", *PLACE, T0_MS, 8, hanoi),
        exercise("crash", *PLACE, T0_MS + 1, 7, hanoi),
        exercise("crash", PLACE[0] + 0.001, PLACE[1], T0_MS, 7, hanoi),
    ]
    ids = [{cue.sent.key for cue in cues} for cues in (one, *others)]
    assert sum(map(len, ids)) == len(set.union(*ids))
    assert all(is_exercise(device_id) and len(device_id) <= 64 for device_id in set.union(*ids))


def test_cues_come_in_order_at_their_records_own_times(hanoi: City) -> None:
    for kind in SCRIPTS:
        cues = exercise(kind, *PLACE, T0_MS, 7, hanoi)
        assert [cue.after_ms for cue in cues] == sorted(cue.after_ms for cue in cues)
        assert [cue.sent.record.at_ms for cue in cues] == [T0_MS + cue.after_ms for cue in cues]
        assert cues[-1].after_ms < 10_000


def test_a_place_outside_the_city_is_refused_in_words(hanoi: City) -> None:
    with pytest.raises(UsageError, match=r"is outside .*, which reaches from"):
        exercise("fire", 10.77, 106.7, T0_MS, 7, hanoi)


def test_the_command_offers_the_kinds_that_have_a_script() -> None:
    assert set(SCRIPTS) == set(KINDS)
