"""Bangs and shots: sounds that several microphones heard become claims of where it was."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.city import City
from processors.gatherings.contract import Derived
from processors.gatherings.location import Arrivals, Bang, LocationRule, locate_bang
from processors.gatherings.squares import GatherSquares
from processors.geo import Plane
from schemas.records import Observation

SQUARE_M: Final = 4_000.0
SLOT_MS: Final = 16_000
LEAST_DEVICES: Final = 3
LEAST_PLACES: Final = 3
"""Microphones on one pole are one when it comes to where a bang was."""
MOST_SOUNDS: Final = 72
"""Of so many sounds that may be of one bang, the first, bangs are told: what goes on for longer is fireworks."""
WAITS_MS: Final = 3_000
"""What three microphones agree on is told so long after the last of them: by then others have heard it, if it was."""
ECHO_S: Final = 1.0
"""How much later than a bang its echoes are heard."""

SCORE_OF_THREE: Final = 0.6
SCORE_OF_FOUR: Final = 0.85
MORE_SCORE: Final = 0.04
TOP_SCORE: Final = 0.97
WIDE_M: Final = 100.0
"""An ellipse with a longer axis halves the score: such a place is hardly one."""
MANY_MICROPHONES: Final = 6
"""So many are enough wherever they are."""

CLASSIFIED: Final = "gunshot_confidence"
"""What a microphone measures that tells shots from other bangs."""
CLASSIFIED_MS: Final = 100
"""At most so much lies between a bang and the claim of the same microphone that it is a shot."""

QUIET_DB: Final = 132.0
"""At 10 m: firecrackers, backfires and crashes are below it, explosions and shots above."""
LEVEL_OF_SCORE_DB: Final = (70.0, 50.0)
"""Of an impact sound's score: 95 dB at 0.5 and 115 dB, or more, at 0.9."""


@dataclass(frozen=True, slots=True)
class Bangs:
    """Claims `made_kind` of three or more microphones whose `heard_kind` agree on a place and a time.

    near_m: a bang that nobody farther away heard may have been a crash or a door, which halves the score.
    shot_kind, shot_made: where given, a bang is claimed as `shot_made`, at its full score, when more than half of the
    microphones that heard it and can tell take it for a shot, by a claim `shot_kind`, which is a sound by itself too.
    quiet_made: where given, the kind of other bangs below QUIET_DB.
    Its subjects are squares of the ground in slots of time, so a bang comes from the slot and square that hold the
    first sound of it. Sounds belong together when one bang can have made both.
    """

    city: City
    heard_kind: str = "impact_sound"
    made_kind: str = "bang_located"
    near_m: float = 0.0
    shot_kind: str = ""
    shot_made: str = ""
    quiet_made: str = ""
    rule: LocationRule = field(default_factory=LocationRule)
    _plane: Plane = field(init=False, repr=False, compare=False)
    _squares: GatherSquares = field(init=False, repr=False, compare=False)
    _holding: Callable[[float, float], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Know the squares, and of microphones, which stay where they are, in which they are."""
        city = self.city
        plane = Plane((city.south_deg + city.north_deg) / 2, (city.west_deg + city.east_deg) / 2)
        squares = GatherSquares(plane, SQUARE_M, self.rule.hearing_m)
        object.__setattr__(self, "_plane", plane)
        object.__setattr__(self, "_squares", squares)
        object.__setattr__(self, "_holding", lru_cache(maxsize=1 << 12)(squares.holding))

    @property
    def name(self) -> str:
        """Return the kind that it makes."""
        return self.made_kind

    @property
    def kinds(self) -> frozenset[str]:
        """Return the kind of sounds."""
        return frozenset(kind for kind in (self.heard_kind, self.shot_kind) if kind)

    @property
    def reach_ms(self) -> int:
        """Return a slot and twice the time that sound takes."""
        return SLOT_MS + 2 * self._travel_ms

    def subjects(self, claim: Observation) -> list[str]:
        """Return the slots and squares that see a sound."""
        slots = range((claim.at_ms - self._travel_ms) // SLOT_MS, (claim.at_ms + self._travel_ms) // SLOT_MS + 1)
        squares = self._squares.seeing(claim.latitude_deg, claim.longitude_deg)
        return [f"{slot}/{square}" for slot in slots for square in squares]

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterator[Derived]:
        """Yield the bangs whose first sound the subject holds."""
        shots = [one for one in claims if one.kind == self.shot_kind]
        loud = [one for one in claims if one.kind == self.heard_kind]
        claims = [one for one in claims if one.kind == self.heard_kind or not any(_is_of(one, other) for other in loud)]
        if len({one.witness_id for one in claims}) < LEAST_DEVICES:
            return
        held = [self._home(one) == subject for one in claims]
        if not any(held):
            return
        heard = _arrivals(claims, self._plane)
        for rows in self._together(heard):
            if any(held[row] for row in rows.tolist()):
                for bang, used in self._bangs(heard, rows):
                    if held[used[0]]:
                        yield self._claim(bang, heard, claims, used, shots)

    def _home(self, claim: Observation) -> str:
        """Return the slot and square that hold a sound."""
        return f"{claim.at_ms // SLOT_MS}/{self._holding(claim.latitude_deg, claim.longitude_deg)}"

    def _together(self, heard: Arrivals) -> list[IntArray]:
        """Return the groups of sounds that can be of one bang, each by time."""
        apart_s = np.abs(heard.at_s[:, None] - heard.at_s)
        away_m = np.hypot(heard.x_m[:, None] - heard.x_m, heard.y_m[:, None] - heard.y_m)
        linked = (away_m <= self.rule.hearing_m) & (apart_s <= away_m / self.rule.speed_mps + ECHO_S)
        return [rows for rows in _components(linked) if len(set(heard.microphone[rows].tolist())) >= LEAST_DEVICES]

    def _bangs(self, heard: Arrivals, rows: IntArray) -> Iterator[tuple[Bang, list[int]]]:
        """Yield the bangs of a group, the one most microphones heard first, and the rows of its sounds."""
        found: list[Bang] = []
        rows = rows[np.lexsort((rows, heard.at_s[rows]))][:MOST_SOUNDS]
        while len(rows) >= LEAST_DEVICES:
            some = heard.take(rows)
            bang = locate_bang(some, self.rule, found)
            if bang is None:
                return
            used = rows[list(bang.heard)]
            rows, places = np.setdiff1d(rows, used), _places(heard.take(used))
            if places > LEAST_PLACES or (places == LEAST_PLACES and not self._is_echo(heard.take(used), found)):
                found.append(bang)
                yield bang, used.tolist()

    def _is_echo(self, some: Arrivals, found: Sequence[Bang]) -> bool:
        """Tell whether three sounds may all be echoes of a bang already found."""
        for bang in found:
            away_m = np.hypot(some.x_m - bang.x_m, some.y_m - bang.y_m)
            late_s = some.at_s - bang.at_s - away_m / self.rule.speed_mps
            if bool(np.all((late_s > -ECHO_S / 10) & (late_s < ECHO_S))):
                return True
        return False

    def _claim(
        self,
        bang: Bang,
        heard: Arrivals,
        claims: Sequence[Observation],
        used: Sequence[int],
        shots: Sequence[Observation],
    ) -> Derived:
        sounds = tuple(claims[row] for row in used)
        told = self._shots_of(sounds, shots)
        is_quiet = bool(self.quiet_made) and _level_db(bang, heard, sounds, used) < QUIET_DB
        made_kind = self.shot_made if told else self.quiet_made if is_quiet else self.made_kind
        latitude_deg, longitude_deg = self._plane.degrees(bang.x_m, bang.y_m)
        at_ms = claims[0].at_ms + round(bang.at_s * 1000)
        is_sure = _places(heard.take(np.array(used))) > LEAST_PLACES
        return Derived(
            at_ms=at_ms if is_sure else max(at_ms, *(one.at_ms for one in sounds)) + WAITS_MS,
            kind=made_kind,
            score=self._score(bang, heard, used, 0.0 if told else self.near_m),
            rests_on=sounds + tuple(one for one in told if one not in sounds),
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            value=bang.axis_m,
            subject=str(len(sounds)),
            device_id=sounds[0].device_id,
            witness_id=sounds[0].witness_id,
        )

    def _shots_of(self, sounds: Sequence[Observation], shots: Sequence[Observation]) -> tuple[Observation, ...]:
        """Return the claims that a bang was a shot, none unless most of those who can tell made one."""
        told = {sound.device_id: shot for sound in sounds for shot in shots if _is_of(shot, sound)}
        able = {one.device_id for one in sounds if one.device_id in told or self._can_tell(one.device_id)}
        return tuple(told.values()) if 2 * len(told) > len(able) else ()

    def _can_tell(self, device_id: str) -> bool:
        sensor = self.city.sensors.get(device_id)
        return sensor is not None and CLASSIFIED in sensor.quantities

    def _score(self, bang: Bang, heard: Arrivals, used: Sequence[int], near_m: float) -> float:
        some = heard.take(np.array(used))
        farthest_m = float(np.hypot(some.x_m - bang.x_m, some.y_m - bang.y_m).max())
        near = len(used) < MANY_MICROPHONES and farthest_m < near_m
        places = _places(some)
        score = SCORE_OF_THREE if places == LEAST_PLACES else SCORE_OF_FOUR + MORE_SCORE * (places - 4)
        return min(TOP_SCORE, score) * (0.5 if bang.axis_m > WIDE_M or near else 1.0)

    @property
    def _travel_ms(self) -> int:
        return round((self.rule.hearing_m / self.rule.speed_mps + ECHO_S) * 1000)


def _is_of(shot: Observation, sound: Observation) -> bool:
    """Tell whether a microphone claims both of one bang."""
    return shot.device_id == sound.device_id and abs(shot.at_ms - sound.at_ms) <= CLASSIFIED_MS


def _places(some: Arrivals) -> int:
    """Return at how many places sounds were heard, to a metre."""
    return len(set(zip(np.round(some.x_m).tolist(), np.round(some.y_m).tolist(), strict=True)))


def _level_db(bang: Bang, heard: Arrivals, sounds: Sequence[Observation], used: Sequence[int]) -> float:
    """Return how loud a bang was at 10 m: the median of what its sounds tell, 20 dB less per tenfold distance."""
    some = heard.take(np.array(used))
    away_m = np.maximum(np.hypot(some.x_m - bang.x_m, some.y_m - bang.y_m), 10.0)
    least_db, per_score_db = LEVEL_OF_SCORE_DB
    level_db = least_db + per_score_db * np.array([one.score for one in sounds])
    return float(np.median(level_db + 20 * np.log10(away_m / 10)))


def _arrivals(claims: Sequence[Observation], plane: Plane) -> Arrivals:
    """Return n sounds with times in seconds after the first."""
    latitude_deg: FloatArray = np.array([one.latitude_deg for one in claims])
    longitude_deg: FloatArray = np.array([one.longitude_deg for one in claims])
    x_m, y_m = plane.xy(latitude_deg, longitude_deg)
    at_s = np.array([one.at_ms - claims[0].at_ms for one in claims]) / 1000
    _, microphone = np.unique([one.witness_id for one in claims], return_inverse=True)
    return Arrivals(x_m, y_m, at_s, microphone)


def _components(linked: BoolArray) -> list[IntArray]:
    """Return the connected components of n things by their links (n, n), by first member."""
    left, found = set(range(len(linked))), []
    while left:
        reached, new = set(), {min(left)}
        while new:
            reached |= new
            new = set(np.flatnonzero(linked[sorted(new)].any(axis=0)).tolist()) - reached
        left -= reached
        found.append(np.array(sorted(reached)))
    return found
