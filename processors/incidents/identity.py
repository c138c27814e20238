"""Which incident a cluster is: identity follows shared evidence."""

from collections.abc import Collection, Container, Mapping, Sequence, Set

from schemas.ids import content_id


def match_incidents(
    old: Mapping[str, Set[str]],
    new: Sequence[Set[str]],
    old_claims: Mapping[str, Set[str]],
    new_claims: Sequence[Set[str]],
) -> dict[str, int]:
    """Return incident id -> index of the cluster that goes on as that incident, one to one.

    old, new: observation ids of their evidence. old_claims, new_claims: who claims what there; it decides for those
    that share no observation, because a detector that changes its mind takes one back and makes another.
    """
    matched = match_by_evidence(old, new)
    taken = set(matched.values())
    rest = {name: claims for name, claims in old_claims.items() if name not in matched}
    free = [frozenset[str]() if index in taken else claims for index, claims in enumerate(new_claims)]
    return matched | match_by_evidence(rest, free)


def match_by_evidence(old: Mapping[str, Set[str]], new: Sequence[Set[str]]) -> dict[str, int]:
    """Return incident id -> index of the set that shares most with its own, one to one.

    The pair that shares most comes first, of equals the lower incident id, then the earlier set. Nothing shared: none.
    """
    pairs = [
        (-len(evidence & other), incident_id, index)
        for incident_id, evidence in old.items()
        for index, other in enumerate(new)
        if evidence & other
    ]
    matched: dict[str, int] = {}
    for _, incident_id, index in sorted(pairs):
        if incident_id not in matched and index not in matched.values():
            matched[incident_id] = index
    return matched


def heir_of(evidence: Set[str], new: Sequence[Set[str]]) -> int | None:
    """Return the index of the set that took over most of the evidence, of equals the first; None if none took any."""
    shared = [len(evidence & other) for other in new]
    return shared.index(max(shared)) if any(shared) else None


def new_incident_id(rule_id: str, evidence_ids: Collection[str], taken: Container[str]) -> str:
    """Return the id of an incident by the evidence of its first revision.

    rule_id: Drafter.id_part.
    taken: ids of incidents that go on; one of them may have begun with the same evidence and moved away since.
    """
    incident_id = content_id("i", rule_id, *sorted(evidence_ids))
    again = 0
    while incident_id in taken:
        again += 1
        incident_id = content_id("i", rule_id, *sorted(evidence_ids), again)
    return incident_id
