"""The incremental side of clusters.gather: passing claims that no firm cluster took, claim by claim.

Whether a claim is the first of a cluster, and if not whose it is, depends on earlier claims alone. So changes are
worked off in canonical order, and a claim is looked at again only when a first claim within its reach came or went.
"""

import heapq
from bisect import insort
from dataclasses import dataclass, field

from processors.incidents.cells import CellIndex
from processors.incidents.clusters import METRES_PER_DEG, distance_m, order_of
from processors.incidents.endings import Wake
from processors.incidents.rule_model import Rule
from processors.incidents.verdict import Verdict
from schemas.records import Observation


def _nobody(one: Observation, reach_m: float, from_ms: int, until_ms: int) -> None:
    """Wake nothing."""


@dataclass(slots=True, eq=False)
class Group:
    """Passing claims that belong together, in canonical order; the first is the anchor.

    verdict: what they amount to, once that has been judged. again_ms: when time alone may change that, None = never.
    """

    members: list[Observation]
    verdict: Verdict | None = None
    again_ms: int | None = None


@dataclass(slots=True)
class Regrouped:
    """What changed: the groups that are new or other than before, by anchor, and what those that were amounted to."""

    groups: dict[str, Group] = field(default_factory=dict)
    was: list[Verdict] = field(default_factory=list)


class Leftovers:
    """Groups of passing claims. After `settle` always equal to `clusters.gather` of them all."""

    def __init__(self, rule: Rule, latitude_deg: float) -> None:
        """latitude_deg: see CellIndex."""
        passing = rule.passing
        self._reach_m, quiet_s = (1.0, 1) if passing is None else (passing.reach_m, passing.quiet_s)
        self._quiet_ms = quiet_s * 1000
        self._reach_deg = self._reach_m * 1.001 / METRES_PER_DEG
        self._anchors = CellIndex(self._reach_m, quiet_s, latitude_deg, rule.parting)
        self._newest_ms = 0
        self._group_of: dict[str, Group | None] = {}
        self._doubtful: list[tuple[int, str, Observation]] = []
        self._changed = Regrouped()
        self.wake: Wake = _nobody
        """Puts back the groups that were taken out only to rest; called before anything is looked for."""

    def __contains__(self, observation_id: str) -> bool:
        return observation_id in self._group_of

    def group_of(self, observation_id: str) -> Group | None:
        """Return the group of a claim, None if it is not left over."""
        return self._group_of.get(observation_id)

    def between(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> list[Observation]:
        """Return the claims up to `reach_m` from an observation that are of that time, and some others."""
        self.wake(one, reach_m, from_ms, until_ms)
        return self.awake_between(one, reach_m, from_ms, until_ms)

    def awake_between(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> list[Observation]:
        """Return the same without those that are laid aside."""
        self._work_off()
        return self._grouped(one, reach_m, from_ms, until_ms)

    def add(self, one: Observation) -> None:
        """Put a claim in."""
        self._group_of[one.observation_id] = None
        self._doubt(one)

    def remove(self, one: Observation) -> None:
        """Take a claim out."""
        self._leave_group(one)
        del self._group_of[one.observation_id]
        if self._doubtful:
            self._doubtful = [entry for entry in self._doubtful if entry[2] is not one]
            heapq.heapify(self._doubtful)

    def drop(self, group: Group) -> None:
        """Let a whole group go; the others stay as they are (clusters.py says why)."""
        self._anchors.remove(group.members[0])
        for one in group.members:
            del self._group_of[one.observation_id]

    def put_back(self, group: Group) -> None:
        """Put a group back that was dropped, and that everything since then would have left as it was."""
        self._anchors.add(group.members[0])
        for one in group.members:
            self._group_of[one.observation_id] = group

    def settle(self) -> Regrouped:
        """Group what was put in or taken out since the last time, and say what that changed."""
        self._work_off()
        changed, self._changed = self._changed, Regrouped()
        return changed

    def _work_off(self) -> None:
        while self._doubtful:
            self._regroup(heapq.heappop(self._doubtful)[2])

    def _regroup(self, one: Observation) -> None:
        """Put a claim where it belongs now; all that is earlier is where it belongs."""
        name = one.observation_id
        home = self._nearest(one)
        was, now = self._group_of[name], None if home is None else self._group_of[home.observation_id]
        if was is not None and (was is now or (now is None and was.members[0] is one)):
            return
        self._leave_group(one)
        if now is not None:
            self.touch(now)
            insort(now.members, one, key=order_of)
        else:
            now = self._changed.groups[name] = Group([one])
            self._anchors.add(one)
            self._doubt_later(one)
        self._group_of[name] = now
        self._newest_ms = max(self._newest_ms, one.at_ms)

    def _nearest(self, one: Observation) -> Observation | None:
        """Return the nearest anchor that is earlier and within reach, of two equally near the first."""
        self.wake(one, self._reach_m, one.at_ms - self._quiet_ms, one.at_ms)
        best, best_m = None, self._reach_m
        for anchor in self._anchors.near(one):
            age_ms = one.at_ms - anchor.at_ms
            if not 0 <= age_ms <= self._quiet_ms or abs(anchor.latitude_deg - one.latitude_deg) > self._reach_deg:
                continue
            if age_ms == 0 and anchor.observation_id >= one.observation_id:
                continue
            away_m = distance_m(one, anchor)
            if away_m < best_m or (away_m == best_m and (best is None or order_of(anchor) < order_of(best))):
                best, best_m = anchor, away_m
        return best

    def _leave_group(self, one: Observation) -> None:
        group = self._group_of[one.observation_id]
        if group is None:
            return
        self.touch(group)
        if group.members[0] is one:
            self._anchors.remove(one)
            del self._changed.groups[one.observation_id]
            for other in group.members[1:]:
                self._group_of[other.observation_id] = None
                self._doubt(other)
        else:
            group.members = [other for other in group.members if other is not one]

    def touch(self, group: Group) -> None:
        """Take note of a group that is about to be another, or to be judged again."""
        if group.verdict is not None:
            self._changed.was.append(group.verdict)
            group.verdict = None
        self._changed.groups[group.members[0].observation_id] = group

    def _doubt(self, one: Observation) -> None:
        heapq.heappush(self._doubtful, (one.at_ms, one.observation_id, one))

    def _doubt_later(self, one: Observation) -> None:
        """Look again at the later claims that a new anchor may attract; for most claims, there are no later ones."""
        if one.at_ms > self._newest_ms:
            return
        self.wake(one, self._reach_m, one.at_ms, one.at_ms + self._quiet_ms)
        for other in self._grouped(one, self._reach_m, one.at_ms, one.at_ms + self._quiet_ms):
            near = 0 <= other.at_ms - one.at_ms <= self._quiet_ms and distance_m(one, other) <= self._reach_m
            if near and order_of(other) > order_of(one):
                self._doubt(other)

    def _grouped(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> list[Observation]:
        anchors = self._anchors.between(one, reach_m + self._reach_m, from_ms - self._quiet_ms, until_ms)
        groups = (self._group_of[anchor.observation_id] for anchor in anchors)
        return [member for group in groups if group is not None for member in group.members]
