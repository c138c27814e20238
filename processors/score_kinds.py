"""Which kinds happened in a run, which of them were found, and why the others were not: for people."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from processors.score import KindScore
from processors.score_bounds import TOLD_S, told_s


@dataclass(frozen=True, slots=True)
class KindsFound:
    """Kinds by name: those that happened, those detected at least once, and those missed each time.

    not_judged: happened, too near to the end to be told; not_played: did not happen. Both with the reason.
    """

    played: tuple[str, ...]
    detected: tuple[str, ...]
    missed: tuple[str, ...]
    not_judged: Mapping[str, str]
    not_played: Mapping[str, str]


def kinds_found(scores: Mapping[str, KindScore], lasted_s: float) -> KindsFound:
    """Sum up the scores of a run that lasted so long. Kinds that only rules of the user's own conclude never happen."""
    played = {kind: one for kind, one in sorted(scores.items()) if one.truth}
    open_ = [kind for kind, one in played.items() if not one.detected]
    return KindsFound(
        played=tuple(played),
        detected=tuple(kind for kind, one in played.items() if one.detected),
        missed=tuple(kind for kind in open_ if played[kind].missed),
        not_judged={kind: f"takes up to {_words(told_s(kind))}" for kind in open_ if not played[kind].missed},
        not_played={
            kind: f"takes up to {_words(told_s(kind))}" if told_s(kind) > lasted_s else "no place or time for it"
            for kind in sorted(TOLD_S.keys() - played.keys())
        },
    )


def in_words(found: KindsFound) -> list[str]:
    """Return a line for each group of kinds that there are."""
    lines = [f"kinds: {len(found.played)} played, {len(found.detected)} detected"]
    if found.missed:
        lines.append(f"missed: {', '.join(found.missed)}")
    for name, kinds in (("not judged, the run ended before", found.not_judged), ("not played", found.not_played)):
        if kinds:
            reasons: dict[str, list[str]] = {}
            for kind, reason in kinds.items():
                reasons.setdefault(reason, []).append(kind)
            lines.append(f"{name}: " + "; ".join(f"{', '.join(some)} ({why})" for why, some in reasons.items()))
    return lines


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds <= 120 else f"{math.ceil(seconds / 60)} min"
