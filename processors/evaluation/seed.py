"""One seed of the simulated city through the whole flow, under one or several rule sets, against its truth."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from processors.city import City, Device
from processors.evaluation.feeds import only_feeding
from processors.evaluation.heard import Sounds
from processors.evaluation.pipeline import Concluder, Observers
from processors.geo import haversine_m
from processors.incidents.rules import RuleSet
from processors.score import Detection, detections
from processors.score_bounds import BOUNDS, MOMENT
from processors.simulate import Simulation, SimulationRule
from schemas.codec import Codec
from schemas.records import IncidentChange, IncidentState, Truth

START_MS: Final = 1_795_395_600_000
"""2026-11-23 08:00 in Hà Nội, a Monday: when every evaluated city begins."""
TOGETHER: Final = 5
"""So many ticks are decided together, which changes nothing and takes a tenth less time."""
CLOSING_MS: Final = 5_000
"""After the last record: what is on its way is concluded."""


@dataclass(frozen=True, slots=True)
class SeedRequest:
    """What is simulated.

    per_hour: of each kind. tick_ms: a tick closes so much time, a multiple of 250 ms. only_feeding: with those cameras
    and sensors alone that feed one of the kinds.
    """

    seed: int
    hours: float
    kinds: tuple[str, ...]
    per_hour: float = 4.0
    vehicles: int = 200
    difficulty: float = 1.0
    tick_ms: int = 1_000
    only_feeding: bool = False

    def city_of(self, city: City, rule_sets: Iterable[RuleSet]) -> City:
        """Return the city as it is simulated for those rules."""
        if not self.only_feeding:
            return city
        return only_feeding([rule for rules in rule_sets for rule in rules.rules], city, self.kinds)

    def simulation_rule(self) -> SimulationRule:
        """Return the simulator's rule; kinds not asked for do not happen."""
        rates = dict.fromkeys(self.kinds, self.per_hour)
        return SimulationRule(
            vehicles=self.vehicles,
            difficulty=self.difficulty,
            opening=0,
            crashes_per_hour=rates.pop("crash", 0.0),
            fires_per_hour=rates.pop("fire", 0.0),
            scenes_per_hour=rates,
        )


@dataclass(frozen=True, slots=True)
class TruthResult:
    """What became of one truth.

    delay_s: until its incident opened. away_m: of that incident's last revision. confirmed: at any time.
    witnesses: how many independent devices are so near that they could notice it, or, of an explosion, heard it; -1 =
    nobody counted.
    """

    kind: str
    truth_id: str
    delay_s: float | None = None
    away_m: float | None = None
    confirmed: bool = False
    witnesses: int = -1

    @property
    def detected(self) -> bool:
        """Tell whether an incident was opened for it."""
        return self.delay_s is not None


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What one seed gave under one rule set. records: of devices. false: incidents without a truth, by kind.

    false_confirmed: those of them that were ever confirmed.
    """

    seed: int
    hours: float
    records: int
    truths: tuple[TruthResult, ...]
    false: Mapping[str, int]
    false_confirmed: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Kept:
    """Of every incident what the score asks for: its first revision, the first confirmed one and the last."""

    first: dict[str, IncidentChange] = field(default_factory=dict)
    confirmed: dict[str, IncidentChange] = field(default_factory=dict)
    last: dict[str, IncidentChange] = field(default_factory=dict)

    def take(self, changes: Iterable[IncidentChange]) -> None:
        for change in changes:
            one = change.incident
            slim = replace(one, evidence=(), stop_ids=(), due_trips=(), actions=())
            change = replace(change, reasons=(), incident=slim)
            self.first.setdefault(one.incident_id, change)
            if one.state is IncidentState.CONFIRMED:
                self.confirmed.setdefault(one.incident_id, change)
            self.last[one.incident_id] = change

    def changes(self) -> list[IncidentChange]:
        return [*self.first.values(), *self.last.values()]


def run_seed(
    request: SeedRequest,
    rule_sets: Mapping[str, RuleSet],
    city: City,
    codec: Codec,
    on_hours: Callable[[float], None] = lambda _: None,
) -> dict[str, SeedResult]:
    """Simulate a seed once and return what each rule set made of it, by its name.

    on_hours: is told how many hours of event time are done, every simulated minute.
    """
    city = request.city_of(city, rule_sets.values())
    until_ms = START_MS + round(request.hours * 3_600_000)
    simulation = Simulation(city, request.seed, START_MS, request.simulation_rule(), until_ms)
    observers = Observers(city, codec)
    concluders = {name: Concluder(rules, city, observers.sources) for name, rules in rule_sets.items()}
    kept = {name: _Kept() for name in rule_sets}
    sounds = Sounds(city)
    truths: list[Truth] = []
    records, tick_ms = 0, START_MS

    def close(at_ms: int) -> None:
        blocks = observers.tick(at_ms)
        sounds.take(blocks)
        for name, concluder in concluders.items():
            kept[name].take(concluder.take(blocks))

    while tick_ms < until_ms:
        interval = simulation.step()
        tick_ms = interval.tick_ms
        truths += interval.truths
        records += len(interval.sent)
        observers.take(interval.sent)
        if tick_ms % (TOGETHER * request.tick_ms) == 0:
            close(tick_ms)
        elif tick_ms % request.tick_ms == 0:
            observers.tick_later(tick_ms)
        if tick_ms % 60_000 == 0:
            on_hours((tick_ms - START_MS) / 3_600_000)
    close(tick_ms + CLOSING_MS)
    witnesses = {
        truth.truth_id: sounds.heard_by(truth) if truth.kind == "explosion" else witnesses_in_reach(truth, city)
        for truth in truths
    }
    return {
        name: SeedResult(request.seed, request.hours, records, *_judged(truths, kept[name], tick_ms, witnesses))
        for name in rule_sets
    }


def _judged(
    truths: Sequence[Truth], kept: _Kept, end_ms: int, witnesses: Mapping[str, int]
) -> tuple[tuple[TruthResult, ...], dict[str, int], dict[str, int]]:
    """Return what became of every truth whose time to be detected ended with the records, and what was false."""
    results: list[TruthResult] = []
    false: dict[str, int] = {}
    confirmed: dict[str, int] = {}
    for kind, found in detections(truths, kept.changes()).items():
        results += [
            _result(truth, found.detected.get(name), kept, witnesses[name])
            for name, truth in found.truths.items()
            if detectable_until_ms(truth) <= end_ms
        ]
        false[kind] = len(found.false)
        confirmed[kind] = sum(name in kept.confirmed for name in found.false)
    return tuple(results), false, confirmed


def detectable_until_ms(truth: Truth) -> int:
    """Return until when an incident may open that detects a truth."""
    bounds = BOUNDS.get(truth.kind, MOMENT)
    ends_ms = max(truth.at_ms, truth.ends_at_ms) if bounds.lasting else truth.at_ms
    return ends_ms + round(bounds.after_s * 1000)


def _result(truth: Truth, detection: Detection | None, kept: _Kept, witnesses: int) -> TruthResult:
    told = TruthResult(truth.kind, truth.truth_id, witnesses=witnesses)
    if detection is None:
        return told
    last = kept.last[detection.case_id].incident
    place = (truth.latitude_deg, truth.longitude_deg, last.latitude_deg, last.longitude_deg)
    return replace(
        told,
        delay_s=detection.delay_ms / 1000,
        away_m=float(haversine_m(*place)),
        confirmed=detection.case_id in kept.confirmed,
    )


REACH_M: Final[Mapping[str, tuple[float, float, frozenset[str]]]] = {
    "fire": (120.0, 60.0, frozenset({"fire_alarm", "smoke_obscuration", "temperature"})),
}
"""Kind -> how far cameras see it and sensors feel it in the simulator, and the quantities of those sensors."""


def witnesses_in_reach(truth: Truth, city: City) -> int:
    """Return how many independent devices could notice a truth; -1 for kinds where nobody asks."""
    if truth.kind not in REACH_M:
        return -1
    sees_m, feels_m, quantities = REACH_M[truth.kind]
    witnesses = {one.device_id for one in city.cameras.values() if _away_m(truth, one) <= sees_m}
    witnesses |= {
        one.host_camera_id or one.device_id
        for one in city.sensors.values()
        if quantities & set(one.quantities) and _away_m(truth, one) <= feels_m
    }
    return len(witnesses)


def _away_m(truth: Truth, device: Device) -> float:
    here = (device.latitude_deg, device.longitude_deg)
    return float(haversine_m(truth.latitude_deg, truth.longitude_deg, *here))
