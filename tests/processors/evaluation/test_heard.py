"""Who heard a bang, of those who claimed a sound."""

import pytest

from processors.evaluation.heard import Sounds
from processors.simulate.weather import sound_mps
from schemas.records import Observation, ObservationBlock, Truth
from tests.processors.gatherings.builders import CITY, LATITUDE_DEG, LONGITUDE_DEG, at_ms, observed, sound

NOON_MS = at_ms("12:00")
BANG = Truth(at_ms=NOON_MS, latitude_deg=LATITUDE_DEG, longitude_deg=LONGITUDE_DEG, truth_id="t", kind="explosion")


def block(*claims: Observation) -> ObservationBlock:
    return ObservationBlock(
        tick_ms=NOON_MS + 9_000, source_partition=0, source_topic="sensor.readings.v1", observations=claims
    )


def heard(*sounds: tuple[str, float, float], kind: str = "impact_sound") -> int:
    """How many heard it: microphones so many metres away who claim so much later than its sound came by."""
    known = Sounds(CITY)
    claims = tuple(
        sound(name, NOON_MS + round(1000 * (away_m / sound_mps(12.0) + late_s)), away_m, 0.0, kind)
        for name, away_m, late_s in sounds
    )
    known.take([block(*claims)])
    return known.heard_by(BANG)


def test_who_claims_when_the_sound_comes_by_heard_it() -> None:
    assert heard(("A", 100.0, 0.0), ("B", 600.0, 0.015), ("C", 400.0, -0.015)) == 3


@pytest.mark.parametrize("late_s", [0.05, -0.05, 12.0])
def test_who_tells_an_echo_or_by_a_wrong_clock_did_not(late_s: float) -> None:
    assert heard(("A", 100.0, 0.0), ("B", 600.0, late_s)) == 1


def test_who_claims_something_else_did_not() -> None:
    assert heard(("A", 100.0, 0.0), kind="gunshot_sound") == 0


def test_microphones_on_one_pole_are_one_witness() -> None:
    known = Sounds(CITY)
    claims = tuple(observed("impact_sound", name, NOON_MS, witness_id="CAM") for name in "AB")
    known.take([block(*claims)])
    assert known.heard_by(BANG) == 1
