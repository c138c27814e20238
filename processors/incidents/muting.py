"""Claims that an incident of another rule explains: they do not count while it stands."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from processors.incidents.clusters import ground_m
from processors.incidents.decisions import decided
from processors.incidents.rule_model import Mute
from schemas.records import Decision, Incident, IncidentState, Observation


@dataclass(frozen=True, slots=True)
class Cause:
    """An incident that may explain claims of other rules; closed ones still do, until nothing of that time counts.

    confirmed: whether it stands, or stood when it ended, as a confirmed one.
    """

    incident_id: str
    kind: str
    confirmed: bool
    latitude_deg: float
    longitude_deg: float
    first_ms: int
    last_ms: int


def explains(cause: Cause, mute: Mute, one: Observation) -> bool:
    """Tell whether a claim is what a rule says that one of its incidents brings about."""
    if one.kind not in mute.kinds or not (cause.confirmed or mute.from_ == "SUSPECTED"):
        return False
    away_m = ground_m(cause.latitude_deg, cause.longitude_deg, one.latitude_deg, one.longitude_deg)
    if away_m > mute.distance_m:
        return False
    late_ms = 0.0 if mute.speed_mps is None else away_m / mute.speed_mps * 1000
    apart_ms = mute.apart_s * 1000
    return cause.first_ms + late_ms - apart_ms <= one.at_ms <= cause.last_ms + late_ms + apart_ms


class Causes:
    """The incidents of one rule that may explain claims of others, by id.

    changed: whether one is new, another or gone since that was set to false.
    """

    def __init__(self, mutes: Sequence[Mute], longest_ms: int) -> None:
        """longest_ms: how long claims count at most; for so long, closed incidents still explain what they did."""
        self.all: dict[str, Cause] = {}
        self.changed = False
        self._mutes = mutes
        late_s = [one.apart_s + (one.distance_m / one.speed_mps if one.speed_mps else 0.0) for one in mutes]
        self._lasts_ms = math.ceil(max(late_s, default=0.0) * 1000) + longest_ms

    def of(self, rule_id: str) -> Iterator[tuple[Cause, Mute]]:
        """Yield what may explain claims of a rule."""
        for mute in self._mutes:
            if rule_id in mute.rules:
                yield from ((cause, mute) for cause in self.all.values())

    def take(self, draft: Incident, state: IncidentState) -> None:
        """Take note of an incident as it is now; one that was dismissed explains nothing.

        state: SUSPECTED or CONFIRMED, by its evidence.
        """
        decision = decided(draft.actions)
        if decision is not None and decision.decision is Decision.DISMISS:
            self.drop(draft.incident_id)
            return
        cause = Cause(
            incident_id=draft.incident_id,
            kind=draft.kind,
            confirmed=state is IncidentState.CONFIRMED or decision is not None,
            latitude_deg=draft.latitude_deg,
            longitude_deg=draft.longitude_deg,
            first_ms=draft.opened_at_ms,
            last_ms=draft.last_evidence_at_ms,
        )
        if self.all.get(draft.incident_id) != cause:
            self.all[draft.incident_id] = cause
            self.changed = True

    def drop(self, incident_id: str) -> None:
        """Take note of an incident that is no more."""
        if self.all.pop(incident_id, None) is not None:
            self.changed = True

    def due_ms(self, known: Set[str]) -> list[int]:
        """Return when incidents may be forgotten; known: ids of those that are not closed."""
        return [one.last_ms + self._lasts_ms + 1 for name, one in self.all.items() if name not in known]

    def forget(self, tick_ms: int, known: Set[str]) -> None:
        """Let closed incidents go that explain nothing that counts."""
        for name in [name for name, one in self.all.items() if one.last_ms + self._lasts_ms < tick_ms]:
            if name not in known:
                self.drop(name)


@dataclass(frozen=True, slots=True)
class MutedClaim:
    """A claim and the incident that explains it, of several the one with the lowest id."""

    observation: Observation
    incident_id: str
    kind: str


class Muting:
    """The claims of one rule that do not count because incidents of other rules explain them."""

    def __init__(self) -> None:
        self.muted: dict[str, MutedClaim] = {}
        self._causes: Sequence[tuple[Cause, Mute]] = ()

    def restore(self, muted: Iterable[MutedClaim], causes: Sequence[tuple[Cause, Mute]]) -> None:
        """Go back to what was muted by which causes."""
        self.muted = {one.observation.observation_id: one for one in muted}
        self._causes = causes

    def sieve(
        self,
        observations: Iterable[Observation],
        causes: Sequence[tuple[Cause, Mute]],
        standing: Mapping[str, Observation],
    ) -> list[Observation]:
        """Return the observations of a tick without those that are explained, and what that changes about earlier ones.

        causes: incidents that may explain claims, and by what, by incident id. standing: the claims that count. One
        that counts no more comes as withdrawn; one that counts again comes again. Looks at all of them when a cause
        is new, another or gone, which is rare.
        """
        found = []
        if causes != self._causes:
            self._causes = causes
            found += [replace(one, withdrawn=True) for one in standing.values() if self._is_muted(one)]
            for name, muted in list(self.muted.items()):
                if not self._is_muted(muted.observation):
                    del self.muted[name]
                    found.append(muted.observation)
        for one in observations:
            if one.withdrawn:
                self.muted.pop(one.observation_id, None)
                found.append(one)
            elif one.observation_id in self.muted:
                continue
            elif not causes or one.observation_id in standing or not self._is_muted(one):
                found.append(one)
        return found

    def counts(self, one: Observation) -> bool:
        """Tell whether nothing explains a claim."""
        return not any(explains(cause, mute, one) for cause, mute in self._causes)

    def explained_by(self, names: Sequence[str]) -> str:
        """Return the incident that explains most of some claims, of equals the lowest id; "" if some have none."""
        causes = sorted(self.muted[name].incident_id for name in names if name in self.muted)
        return max(dict.fromkeys(causes), key=causes.count) if causes and len(causes) == len(names) else ""

    def in_words(self) -> dict[str, str]:
        """Return of every muted claim what explains it: "explosion i-1f2e"."""
        return {name: f"{one.kind} {one.incident_id}" for name, one in self.muted.items()}

    def forget(self, oldest_ms: int) -> None:
        """Let claims go that are older."""
        for name in [name for name, one in self.muted.items() if one.observation.at_ms < oldest_ms]:
            del self.muted[name]

    def _is_muted(self, one: Observation) -> bool:
        """Tell whether a claim is explained, and keep it if so."""
        for cause, mute in self._causes:
            if explains(cause, mute, one):
                self.muted[one.observation_id] = MutedClaim(one, cause.incident_id, cause.kind)
                return True
        return False
