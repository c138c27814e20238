"""The incremental side of clusters.conclude: after a change, only the neighbourhoods it touches are concluded anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from processors.incidents.claim_parts import ClaimParts, ClaimsState
from processors.incidents.clusters import Cluster, conclude
from processors.incidents.grid import Grid, neighbourhood
from processors.incidents.rules import Rule
from processors.incidents.verdict import Verdict, judge
from schemas.records import Observation


@dataclass(frozen=True, slots=True)
class Concluded:
    """A cluster and what it amounts to; None = no incident."""

    cluster: Cluster
    verdict: Verdict | None

    @property
    def last_id(self) -> str:
        """Id of its newest member, which no other cluster has."""
        return self.cluster.members[-1].observation_id


@dataclass(frozen=True, slots=True)
class Region:
    """What a change touched: every observation near it, gone ones too, and the clusters there now, by first member."""

    touched: frozenset[str]
    concluded: tuple[Concluded, ...]


class StandingClaims:
    """The standing observations that one rule weighs, clustered. Always equal to `conclude` of the whole set."""

    def __init__(self, rule: Rule, latitude_deg: float) -> None:
        """latitude_deg: see Grid."""
        self.grid = Grid(rule, latitude_deg)
        self.parts = ClaimParts()
        self._rule = rule
        self._standing: dict[str, Observation] = {}
        self._concluded_of: dict[str, Concluded] = {}

    @property
    def standing(self) -> Mapping[str, Observation]:
        """All observations that stand, by id."""
        return self._standing

    def concluded_of(self, observation_id: str) -> Concluded | None:
        """Return the cluster of a standing observation; None if it does not stand."""
        return self._concluded_of.get(observation_id)

    def apply(self, observations: Iterable[Observation], oldest_ms: int) -> Region | None:
        """Take claims and withdrawals in their order; None when nothing changes.

        A claim that stands already says nothing new, nor does one older than `oldest_ms` or of another kind.
        """
        wanted: dict[str, Observation | None] = {}
        for one in observations:
            if one.kind not in self._rule.evidence:
                continue
            if one.withdrawn:
                wanted[one.observation_id] = None
            elif one.at_ms >= oldest_ms:
                stands = wanted.get(one.observation_id, self._standing.get(one.observation_id))
                wanted[one.observation_id] = one if stands is None else stands
        was = {name: self._standing.get(name) for name in wanted}
        removed = [old for name, old in was.items() if old is not None and old != wanted[name]]
        added = [new for name, new in wanted.items() if new is not None and new != was[name]]
        return self._change(removed, added) if removed or added else None

    def restore(self, state: ClaimsState, parts: Mapping[str, bytes]) -> None:
        """Go back to a state; what the rule does not weigh (any more) goes."""
        for one in self.parts.restore(state, parts):
            if one.kind in self._rule.evidence:
                self._put(one)
            else:
                self.parts.remove(one.observation_id)
        self._region(list(self._standing.values()))

    def leave(self, concluded: Concluded) -> None:
        """Let a whole cluster go; the others stay as they are (clusters.py says why)."""
        for one in concluded.cluster.members:
            self._remove(one)

    def _change(self, removed: list[Observation], added: list[Observation]) -> Region:
        for one in removed:
            self._remove(one)
        for one in added:
            self.parts.add(one)
            self._put(one)
        return self._region([*removed, *added])

    def _region(self, changed: list[Observation]) -> Region:
        near = neighbourhood([self.grid], changed, self._rule)
        touched = frozenset((*near, *(one.observation_id for one in changed)))
        concluded = tuple(self._concluded(cluster) for cluster in conclude(near.values(), self._rule))
        for each in concluded:
            for one in each.cluster.members:
                self._concluded_of[one.observation_id] = each
        return Region(touched, concluded)

    def _concluded(self, cluster: Cluster) -> Concluded:
        before = self._concluded_of.get(cluster.members[0].observation_id)
        if before is not None and before.cluster == cluster:
            return before
        return Concluded(cluster, judge(cluster, self._rule))

    def _put(self, one: Observation) -> None:
        self._standing[one.observation_id] = one
        self.grid.add(one)

    def _remove(self, one: Observation) -> None:
        self.parts.remove(one.observation_id)
        del self._standing[one.observation_id]
        self._concluded_of.pop(one.observation_id, None)
        self.grid.remove(one)
