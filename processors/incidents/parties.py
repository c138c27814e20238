"""What firm claims hold together, and what a change of standing claims touches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from processors.incidents.clusters import Cluster, Held, canonical
from processors.incidents.verdict import Crowds, Verdict
from schemas.records import IncidentChange, Observation


@dataclass(frozen=True, slots=True)
class Told:
    """A cluster that is an incident."""

    cluster: Cluster
    verdict: Verdict

    @property
    def evidence_ids(self) -> frozenset[str]:
        """Ids of what takes part in it."""
        return frozenset(one.observation_id for one in self.verdict.evidence)

    @property
    def last_id(self) -> str:
        """Id of its newest member, which no other cluster has."""
        return self.cluster.members[-1].observation_id


@dataclass(frozen=True, slots=True)
class Basis:
    """What a revision was made of: its cluster, None of an incident that ends; and what else there was under the rule.

    standing: all claims that stand, by id. explained: of claims that do not count, what explains each.
    """

    change: IncidentChange
    cluster: Cluster | None
    standing: Mapping[str, Observation]
    explained: Mapping[str, str]


Listener = Callable[[Basis], None]
"""Is told of every revision that is not provisional, as it is made; what it is given changes with the next tick."""


@dataclass(frozen=True, slots=True)
class Region:
    """What a change touched: the evidence of the incidents that were, and those that are, by first member."""

    touched: frozenset[str]
    told: tuple[Told, ...]


@dataclass(slots=True, eq=False)
class Party:
    """A firm cluster: the claims that hold it together, and the passing ones that joined, by id.

    crowds: what judging it again keeps of it.
    """

    held: Held
    guests: dict[str, Observation] = field(default_factory=dict)
    verdict: Verdict | None = None
    again_ms: int | None = None
    crowds: Crowds = field(default_factory=dict)

    def members(self) -> list[Observation]:
        """Return all of them in canonical order."""
        return canonical((*self.held.members, *self.guests.values()))


@dataclass(slots=True)
class Change:
    """What one change has touched so far.

    come, gone: firm claims that came and went. homes: id of a gone one -> the firm cluster it was in.
    parties: firm clusters that changed, and new ones, by anchor. was: what they amounted to.
    doubtful: passing claims that may have another home. endings: claims that came or went and may end something.
    """

    come: list[Observation] = field(default_factory=list)
    gone: list[Observation] = field(default_factory=list)
    homes: dict[str, Party] = field(default_factory=dict)
    parties: dict[str, Party] = field(default_factory=dict)
    was: list[Verdict] = field(default_factory=list)
    doubtful: dict[str, Observation] = field(default_factory=dict)
    endings: list[Observation] = field(default_factory=list)

    def touch(self, party: Party) -> None:
        """Take note of a firm cluster that is about to be another."""
        self.parties[party.held.anchor_id] = party
        if party.verdict is not None:
            self.was.append(party.verdict)
            party.verdict = None
