"""Small builders: a city of one street and one line, observations in metres and seconds, rules."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from processors.checkpoint import Checkpoint
from processors.city import Bounds, City, Device, Headway, Line, Stop
from processors.incidents.clusters import Cluster
from processors.incidents.conditions import Conditions
from processors.incidents.endings import Endings
from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.merge import SourceId
from processors.incidents.rule_model import Rule
from processors.incidents.rules import RuleSet, load_rules
from processors.incidents.verdict import Circumstances, Verdict, judge
from processors.network import pattern_along
from schemas.ids import content_id
from schemas.records import Decision, IncidentChange, Observation, ObservationBlock, OperatorAction, RowFrame

PROJECT = Path(__file__).resolve().parents[3]
HANOI_RULES = load_rules(PROJECT / "cities" / "hanoi" / "rules")
CRASH, FIRE = (rule for rule in HANOI_RULES.rules if rule.id in ("crash", "fire"))
RULES = RuleSet(HANOI_RULES.version, (CRASH, FIRE))

LANGUAGE = RuleSet("l1", load_rules(Path(__file__).parent / "language").rules)
"""Rules of every key of the language."""

T0_MS = 1_790_000_000_000
LATITUDE_DEG, LONGITUDE_DEG = 21.03, 105.82
METRE_DEG = math.degrees(1 / 6_371_008.8)

POSITIONS: SourceId = ("vehicle.positions.v1", 0)
DETECTIONS: SourceId = ("camera.detections.v1", 0)
READINGS: SourceId = ("sensor.readings.v1", 0)
ACTIONS: SourceId = ("operator.actions.v1", 0)
SOURCES = (POSITIONS, DETECTIONS, READINGS, ACTIONS)

SCORES: Mapping[str, float] = {"hard_stop": 0.5, "stationary_vehicle": 0.6, "impact_sound": 0.7, "heat": 0.7}


def north_deg(metres: float) -> float:
    return LATITUDE_DEG + metres * METRE_DEG


def east_deg(metres: float) -> float:
    return LONGITUDE_DEG + metres * METRE_DEG / math.cos(math.radians(LATITUDE_DEG))


def source_of(kind: str) -> SourceId:
    if kind.startswith("camera_"):
        return DETECTIONS
    return POSITIONS if kind in ("hard_stop", "stationary_vehicle") else READINGS


def claim(
    kind: str,
    device_id: str,
    at_s: float,
    x_m: float = 0.0,
    y_m: float = 0.0,
    *,
    score: float | None = None,
    witness_id: str = "",
    withdrawn: bool = False,
) -> Observation:
    """An observation x_m east and y_m north of the middle, at_s seconds after T0_MS."""
    topic, partition = source_of(kind)
    at_ms = T0_MS + round(at_s * 1000)
    return Observation(
        at_ms=at_ms,
        latitude_deg=north_deg(y_m),
        longitude_deg=east_deg(x_m),
        score=SCORES.get(kind, 0.8) if score is None else score,
        withdrawn=withdrawn,
        source_offset=0,
        source_partition=partition,
        source_topic=topic,
        observation_id=content_id("o", kind, device_id, at_ms),
        kind=kind,
        device_id=device_id,
        witness_id=witness_id or device_id,
    )


def action(
    decision: Decision, incident_id: str, at_s: float, operator: str = "Lan", note: str = "", assignee: str = ""
) -> OperatorAction:
    """What an operator decided at_s seconds after T0_MS."""
    at_ms = T0_MS + round(at_s * 1000)
    return OperatorAction(
        at_ms=at_ms,
        decision=decision,
        action_id=content_id("a", decision, incident_id, at_ms, operator),
        incident_id=incident_id,
        operator=operator,
        note=note,
        assignee=assignee,
    )


def block(
    source: SourceId,
    tick_s: float,
    observations: Iterable[Observation] = (),
    actions: Iterable[OperatorAction] = (),
) -> ObservationBlock:
    ordered = sorted(observations, key=lambda one: (one.at_ms, one.observation_id))
    return ObservationBlock(
        tick_ms=T0_MS + round(tick_s * 1000),
        source_partition=source[1],
        source_topic=source[0],
        observations=tuple(ordered),
        actions=tuple(sorted(actions, key=lambda one: (one.at_ms, one.action_id))),
    )


def blocks_at(
    tick_s: float, observations: Iterable[Observation] = (), actions: Iterable[OperatorAction] = ()
) -> list[ObservationBlock]:
    """One block of every source for a tick, the observations in those of their kinds' sources."""
    given = list(observations)
    own = {one: [each for each in given if source_of(each.kind) == one] for one in SOURCES}
    return [block(one, tick_s, own[one], actions if one == ACTIONS else ()) for one in SOURCES]


def small_city(cameras: Sequence[str] = ("CAM-1", "CAM-2"), sensors: Sequence[str] = ("P-1", "MIC-1")) -> City:
    """Bus line 09A runs west to east through the middle, every 10 min, with a stop 60 m east of it."""
    stops = (Stop("S1", "Kim Mã", LATITUDE_DEG, east_deg(60)), Stop("S2", "Cầu Giấy", LATITUDE_DEG, east_deg(1500)))
    headway = (Headway("00:00", "24:00", 600),)
    there = pattern_along(
        0, np.array([LATITUDE_DEG] * 3), np.array([east_deg(-500), east_deg(60), east_deg(1500)]), {1: "S1", 2: "S2"}
    )
    line = Line("09A", "09A", "bus", "#0000ff", headway, (there,))
    bounds = Bounds(LATITUDE_DEG - 0.2, LONGITUDE_DEG - 0.2, LATITUDE_DEG + 0.2, LONGITUDE_DEG + 0.2)
    return City(
        name="Small",
        version="c1",
        time_zone="Asia/Ho_Chi_Minh",
        bounds=bounds,
        lines=(line,),
        stops=stops,
        cameras={name: Device(name, "camera", LATITUDE_DEG, LONGITUDE_DEG) for name in cameras},
        sensors={name: Device(name, "sensor", LATITUDE_DEG, LONGITUDE_DEG) for name in sensors},
    )


CITY = small_city()


def engine(
    rule: CorrelationRule | None = None,
    rules: RuleSet = RULES,
    sources: Sequence[SourceId] = SOURCES,
    city: City = CITY,
) -> IncidentEngine:
    return IncidentEngine(rules, city, sources, rule or CorrelationRule(provisional_after_ms=0))


class Run:
    """An engine fed block by block; offsets count up."""

    def __init__(self, rule: CorrelationRule | None = None, rules: RuleSet = RULES, city: City = CITY) -> None:
        self.engine = engine(rule, rules, city=city)
        self.offset = 0
        self.changes: list[IncidentChange] = []
        self.frames: list[RowFrame] = []
        self.checkpoints: list[Checkpoint] = []

    def push(self, blocks: Iterable[ObservationBlock]) -> list[IncidentChange]:
        numbered = list(enumerate(blocks, start=self.offset))
        self.offset += len(numbered)
        outcome = self.engine.push(numbered)
        self.changes += outcome.changes
        self.frames += outcome.frames
        if outcome.checkpoint is not None:
            self.checkpoints.append(outcome.checkpoint)
        return list(outcome.changes)

    def tick(
        self, tick_s: float, observations: Iterable[Observation] = (), actions: Iterable[OperatorAction] = ()
    ) -> list[IncidentChange]:
        return self.push(blocks_at(tick_s, observations, actions))

    def story(self, *claims: Observation, until_s: float = 0.0) -> list[IncidentChange]:
        """Let every claim arrive with the first quarter second after it; returns what follows."""
        waiting = sorted(claims, key=lambda one: one.at_ms)
        last_s = max([until_s, *((one.at_ms - T0_MS) / 1000 + 0.25 for one in waiting)])
        changes = []
        for step in range(1, math.ceil(last_s * 4) + 1):
            tick_ms = T0_MS + step * 250
            due = [one for one in waiting if one.at_ms < tick_ms]
            waiting = [one for one in waiting if one.at_ms >= tick_ms]
            if due or step % 20 == 0 or tick_ms >= T0_MS + last_s * 1000:
                changes += self.tick(step / 4, due)
        return changes


def judged_plainly(
    cluster: Cluster, rule: Rule, standing: Iterable[Observation], tick_ms: int, city: City = CITY
) -> Verdict | None:
    """What a cluster amounts to at a tick, given all that stands."""
    conditions = Conditions(rule, city)
    endings = Endings(rule, LATITUDE_DEG + 1, [one for one in standing if conditions.end(one)])
    return judge(cluster, rule, Circumstances(tick_ms, endings, conditions.expected)).verdict
