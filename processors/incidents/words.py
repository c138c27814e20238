"""Why a revision was made, in words for the people who read it."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from processors.city import City
from processors.incidents.clusters import ground_m
from processors.incidents.decisions import decided, on_state
from schemas.records import Decision, Evidence, Incident, IncidentState, Observation, OperatorAction

LISTED: Final = 4
"""Pieces of evidence named one by one; the others are counted."""

_OVER: Final = {IncidentState.RESOLVED, IncidentState.CLOSED}

_DONE: Final = {
    Decision.ACKNOWLEDGE: "acknowledged",
    Decision.CONFIRM: "confirmed",
    Decision.DISMISS: "dismissed",
    Decision.RESOLVE: "resolved",
    Decision.COMMENT: "comment",
}


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of claims: the ids of those that stand, and of those that do not count, by what incident."""

    standing: Set[str]
    explained: Mapping[str, str]


def claim_in_words(one: Evidence | Observation, city: City) -> str:
    """Say who claims what: "smoke by camera CAM-12", "stationary vehicle TX-3", "hard stop by BUS-9"."""
    what = one.kind.removeprefix("camera_").replace("_", " ")
    if one.device_id in city.cameras or one.kind.startswith("camera_"):
        return f"{what} by camera {one.device_id}"
    if one.device_id in city.sensors:
        return f"{what} by sensor {one.device_id}"
    return f"{what} {one.device_id}" if what.endswith("vehicle") else f"{what} by {one.device_id}"


def action_in_words(action: OperatorAction) -> str:
    """Say who decided what: "dismissed by Lan: fireworks", "assigned to Ward 7 by Lan"."""
    done = f"assigned to {action.assignee}" if action.decision is Decision.ASSIGN else _DONE[action.decision]
    return f"{done} by {action.operator}{action.note and ': '}{action.note}"


def marked_as_exercise(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Put before anything else that nothing has happened."""
    return f"EXERCISE: {reasons[0]}", *reasons[1:]


def opening_reasons(incident: Incident, city: City) -> tuple[str, ...]:
    """Say what a first revision rests on."""
    word = "confirmed" if incident.state is IncidentState.CONFIRMED else "suspected"
    if on_state(incident.actions):
        word = "evidence"
    first, *others = incident.evidence
    reasons = [*map(action_in_words, incident.actions), f"{word}: {claim_in_words(first, city)}"]
    return (*reasons, *_listed([f"{word}: {_beside(one, first, city)}" for one in others]))


def quiet_in_words(seconds: int) -> str:
    """Say that nothing new was claimed: "no new evidence for 5 min"."""
    return f"no new evidence for {_duration(seconds)}"


def change_reasons(before: Incident, after: Incident, fates: Fates, why_over: str, city: City) -> tuple[str, ...]:
    """Say what is different from the revision before. why_over: why it is, if it is."""
    over = []
    if after.state is not before.state and after.state in _OVER:
        over.append(why_over if after.state is IncidentState.RESOLVED else f"closed: {why_over}")
    changes = [
        *_action_changes(before, after),
        *_evidence_changes(before, after, fates, city),
        *_framing(before, after),
    ]
    told = (*over, *_turns(before, after), *(changes or _again(before, after, over)))
    return tuple(dict.fromkeys(told))


def withdrawal_reasons(before: Incident, merged_into: str, fates: Fates, city: City) -> tuple[str, ...]:
    """Say why an incident is no more."""
    gone = [one for one in before.evidence if one.observation_id not in fates.standing]
    if merged_into and not any(one.observation_id in fates.explained for one in gone):
        return (f"merged into {merged_into}, which has most of its evidence",)
    if gone:
        return _listed([_gone_in_words(one, fates, city) for one in gone])
    return ("what is left of its evidence does not make an incident",)


def _gone_in_words(one: Evidence, fates: Fates, city: City) -> str:
    by = fates.explained.get(one.observation_id)
    return f"{f'explained by {by}' if by else 'evidence withdrawn'}: {claim_in_words(one, city)}"


def _turns(before: Incident, after: Incident) -> list[str]:
    if before.state in _OVER and after.state not in {*_OVER, IncidentState.DISMISSED}:
        return ["evidence again"] if on_state(before.actions) == on_state(after.actions) else []
    if before.state is IncidentState.WITHDRAWN:
        return ["its evidence stands again"]
    if before.state is IncidentState.CONFIRMED and after.state is IncidentState.SUSPECTED:
        return ["no longer confirmed"]
    return []


def _action_changes(before: Incident, after: Incident) -> list[str]:
    new = [action_in_words(action) for action in after.actions if action not in before.actions]
    gone = [action for action in before.actions if action not in after.actions]
    return [*new, *(f"no longer about this incident: {action_in_words(action)}" for action in gone)]


def _evidence_changes(before: Incident, after: Incident, fates: Fates, city: City) -> list[str]:
    had = {one.observation_id for one in before.evidence}
    has = {one.observation_id for one in after.evidence}
    confirmed = after.state is IncidentState.CONFIRMED and before.state is not IncidentState.CONFIRMED
    confirmed = confirmed and decided(after.actions) is None
    word = "confirmed" if confirmed else "new evidence"
    new = [one for one in after.evidence if one.observation_id not in had]
    first = after.evidence[0]
    told = [f"{word}: {claim_in_words(one, city) if one is first else _beside(one, first, city)}" for one in new]
    if confirmed and not new:
        told.append("confirmed: its evidence is now strong enough")
    kept = {(one.witness_id, one.kind) for one in after.evidence}
    for one in before.evidence:
        if one.observation_id in has:
            continue
        if one.observation_id not in fates.standing:
            told.append(_gone_in_words(one, fates, city))
        elif (one.witness_id, one.kind) not in kept:
            told.append(f"no longer evidence of it: {claim_in_words(one, city)}")
    return list(_listed(told))


def _framing(before: Incident, after: Incident) -> list[str]:
    told = [f"replaces provisional {name}" for name in after.replaces if name not in before.replaces]
    if before.rules_version != after.rules_version:
        told.append("the rules changed")
    if before.city_version != after.city_version:
        told.append("the city package changed")
    return told


def _again(before: Incident, after: Incident, over: Sequence[str]) -> list[str]:
    """Say that witnesses claim again what they claimed before, when that is all there is to say."""
    return ["claimed again by its witnesses"] if not over and before.state is after.state else []


def _beside(one: Evidence, first: Evidence, city: City) -> str:
    away_m = ground_m(one.latitude_deg, one.longitude_deg, first.latitude_deg, first.longitude_deg)
    after_s = round((one.at_ms - first.at_ms) / 1000)
    return f"{claim_in_words(one, city)} {away_m:.0f} m away, {after_s} s after the {_short(first)}"


def _short(one: Evidence) -> str:
    return one.kind.removeprefix("camera_").replace("_", " ")


def _listed(reasons: Sequence[str]) -> tuple[str, ...]:
    if len(reasons) <= LISTED:
        return tuple(reasons)
    return (*reasons[:LISTED], f"and {len(reasons) - LISTED} more")


def _duration(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
