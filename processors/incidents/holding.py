"""The incremental side of clusters.hold: after a change, those firm claims are asked again whose answer may differ.

`hold` takes claims in their order, and what a claim does depends on the clusters before it alone. So a change is
followed forward: a claim is asked again when one before it came, went or moved in a way that opens a cluster to it or
takes its own away. In a city where everything is jammed at once, each new claim costs a look around it, however many
are linked to it by others.
"""

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping

from processors.incidents.cells import CellIndex
from processors.incidents.clusters import distance_m, order_of
from processors.incidents.rule_model import Rule
from schemas.records import Observation

HeldBy = Callable[[str], tuple[Observation, ...]]
"""The firm claims of the cluster whose anchor has an id, before a change; nothing where it is no anchor."""


class Holding:
    """One change of firm claims.

    firm, anchors: what stands after the change, and the anchors before it. anchor_of: the anchor's id of each firm
    claim before the change, the gone ones too.
    """

    def __init__(
        self, rule: Rule, firm: CellIndex, anchors: CellIndex, founded: CellIndex,
        anchor_of: Callable[[str], str | None], held_by: HeldBy,
    ) -> None:  # fmt: skip
        """founded: an empty index like `anchors`."""
        within = rule.within
        self._reach_m, self._quiet_ms, self._lasts_ms = within.reach_m, within.quiet_s * 1000, within.lasts_s * 1000
        self._firm, self._anchors, self._founded = firm, anchors, founded
        self._anchor_before, self._held_by = anchor_of, held_by
        self._home: dict[str, str | None] = {}
        self._members: dict[str, list[Observation]] = {}
        self._gone: set[str] = set()
        self._asked: set[str] = set()
        self._turns: list[tuple[int, str, Observation]] = []

    def follow(self, gone: Iterable[Observation], come: Iterable[Observation]) -> Mapping[str, list[Observation]]:
        """Return the firm claims of every cluster that may have changed, by the anchor's id; none = it is no more.

        A claim that another of the same id replaces is both gone and come.
        """
        fresh = {one.observation_id: one for one in come}
        for one in gone:
            if one.observation_id not in fresh:
                self._gone.add(one.observation_id)
                self._ask(one)
        for one in fresh.values():
            self._ask(one)
        while self._turns:
            _, name, one = heapq.heappop(self._turns)
            self._asked.discard(name)
            self._turn(one, new=name in fresh)
        return self._members

    def _ask(self, one: Observation) -> None:
        """See to it that a claim is asked again in its turn."""
        if one.observation_id not in self._asked:
            self._asked.add(one.observation_id)
            heapq.heappush(self._turns, (*order_of(one), one))

    def _turn(self, one: Observation, *, new: bool) -> None:
        """Let a claim leave its cluster and join the one that it joins now."""
        name = one.observation_id
        was = self._home[name] if name in self._home else self._anchor_before(name)
        now = None if name in self._gone else self._nearest(one)
        if was == now and not new:
            return
        if was is not None:
            self._leave(one, was)
        self._home[name] = now
        if now is None:
            return
        if now == name:
            self._members[name] = [one]
            self._founded.add(one)
            self._open(one, one, one.at_ms, None)
        else:
            self._join(one, now)

    def _leave(self, one: Observation, anchor_id: str) -> None:
        members = self._of(anchor_id)
        if anchor_id == one.observation_id:
            self._members[anchor_id] = []
            for other in members[1:]:
                self._home[other.observation_id] = None
                self._ask(other)
            return
        place = bisect_left(members, order_of(one), key=order_of)
        del members[place]
        if place < len(members) and members[place].at_ms - members[place - 1].at_ms > self._quiet_ms:
            self._ask(members[place])

    def _join(self, one: Observation, anchor_id: str) -> None:
        members = self._of(anchor_id)
        place = bisect_left(members, order_of(one), key=order_of)
        members.insert(place, one)
        following = members[place + 1] if place + 1 < len(members) else None
        self._open(members[0], one, members[place - 1].at_ms + self._quiet_ms + 1, following)

    def _open(self, anchor: Observation, one: Observation, from_ms: int, following: Observation | None) -> None:
        """Ask the claims again to which a cluster is open now that one has joined it, until the next of it."""
        from_ms, until_ms = max(from_ms, one.at_ms), one.at_ms + self._quiet_ms
        if following is not None and following.at_ms < from_ms:
            return
        for other in self._firm.between(anchor, self._reach_m, from_ms, until_ms):
            if (
                from_ms <= other.at_ms <= until_ms
                and order_of(other) > order_of(one)
                and (following is None or order_of(other) < order_of(following))
                and distance_m(other, anchor) <= self._reach_m
            ):
                self._ask(other)

    def _nearest(self, one: Observation) -> str:
        """Return the anchor of the cluster that a claim joins, its own id where it starts one."""
        best = (self._reach_m, (one.at_ms, one.observation_id))
        for index in (self._anchors, self._founded):
            for anchor in index.between(one, self._reach_m, one.at_ms - self._lasts_ms, one.at_ms):
                order = order_of(anchor)
                if order >= order_of(one) or one.at_ms - anchor.at_ms > self._lasts_ms:
                    continue
                # Of two equally near the first; a claim by itself comes after all that are in reach.
                nearness = (distance_m(one, anchor), order)
                if nearness < best and self._is_open(anchor, one):
                    best = nearness
        return best[1][1]

    def _is_open(self, anchor: Observation, one: Observation) -> bool:
        """Tell whether an anchor still has its cluster and that was not silent for too long before a claim."""
        anchor_id = anchor.observation_id
        members = self._members[anchor_id] if anchor_id in self._members else self._held_by(anchor_id)
        if not members or members[0] is not anchor:
            return False
        last = members[bisect_left(members, order_of(one), key=order_of) - 1]
        return one.at_ms - last.at_ms <= self._quiet_ms

    def _of(self, anchor_id: str) -> list[Observation]:
        """Return the claims of a cluster, to be changed."""
        if anchor_id not in self._members:
            self._members[anchor_id] = list(self._held_by(anchor_id))
        return self._members[anchor_id]
