"""Looks: one thing seen again and again by one camera. A claim is made when enough of them have come together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.detect.camera_kinds import CLAIM_RULES, NO_CLAIM, ClaimRule
from processors.key_blocks import SlotArray
from processors.tracks import Track


@dataclass(frozen=True, slots=True)
class Looks:
    """n looks, those of a thing together and in the order of their time.

    row: the record that stands for the look. thing: tells things apart. claim: index of a rule, one of a thing.
    """

    row: IntArray
    thing: SlotArray
    at_ms: IntArray
    claim: IntArray
    score: FloatArray


def looks_of(track: Track, rules: Sequence[ClaimRule] = CLAIM_RULES) -> Looks:
    """Return the looks at what is claimed: of one instant the surest record stands for all, then the lowest tie."""
    confidence, claim = track.columns["confidence"], track.columns["claim"].astype(np.int64)
    limit = np.array([*(rule.confidence for rule in rules), np.inf], np.float32)  # NO_CLAIM = -1 takes the last
    strong = np.flatnonzero((claim > NO_CLAIM) & (claim < len(rules)))
    strong = strong[confidence[strong] >= limit[claim[strong]]]
    order = np.lexsort((track.columns["tie"][strong], -confidence[strong], track.at_ms[strong], track.slot[strong]))
    row = strong[order]
    same = np.zeros(len(row), bool)
    same[1:] = (np.diff(track.at_ms[row]) == 0) & (np.diff(track.slot[row]) == 0)
    row = row[~same]
    return Looks(row, track.slot[row], track.at_ms[row], claim[row], confidence[row].astype(np.float64))


def openings(looks: Looks, rules: Sequence[ClaimRule] = CLAIM_RULES) -> tuple[IntArray, FloatArray]:
    """Return the looks (m,) at which a claim begins to stand, and the highest score of those that make it stand.

    A claim that did not stand for the rule's `within_ms` begins anew.
    """
    found, scores = [np.zeros(0, np.int64)], [np.zeros(0)]
    for claim in np.unique(looks.claim).tolist():
        rule = rules[claim]
        own = np.flatnonzero(looks.claim == claim)
        at_ms, thing = looks.at_ms[own], looks.thing[own]
        enough = _enough(at_ms, thing, rule)
        stood_ms, opens = _stood_ms(enough, at_ms, thing, rule), np.zeros(len(own), bool)
        for lasts_ms in rule.lasts_ms:
            opens |= _begins(enough & (stood_ms >= lasts_ms), at_ms, thing, rule)
        at, score = np.flatnonzero(opens), looks.score[own]
        found.append(own[at])
        scores.append(np.max([score[at - back] for back in range(rule.looks)], axis=0))
    place = np.concatenate(found)
    order = np.argsort(place, kind="stable")
    return place[order], np.concatenate(scores)[order]


def _enough(at_ms: IntArray, thing: SlotArray, rule: ClaimRule) -> BoolArray:
    """Tell of n looks which are the last of as many, and as long apart, as the rule wants within its time."""
    anew = np.diff(thing, prepend=-1) != 0
    line_ms = at_ms + np.cumsum(anew) * (np.ptp(at_ms) + rule.within_ms + 1)  # no window holds looks of two things
    first = np.searchsorted(line_ms, line_ms - rule.within_ms)
    return np.asarray((np.arange(len(at_ms)) - first >= rule.looks - 1) & (at_ms - at_ms[first] >= rule.spans_ms))


def _stood_ms(enough: BoolArray, at_ms: IntArray, thing: SlotArray, rule: ClaimRule) -> IntArray:
    """Return for how long (n,) there have been enough looks without a pause longer than the rule's time."""
    number = np.arange(len(at_ms))
    begins = _begins(enough, at_ms, thing, rule)
    return at_ms - at_ms[np.maximum.accumulate(np.where(begins, number, 0))]


def _begins(stands: BoolArray, at_ms: IntArray, thing: SlotArray, rule: ClaimRule) -> BoolArray:
    """Tell where (n,) a claim stands that stood at no look of the rule's time before."""
    before = np.maximum.accumulate(np.where(stands, np.arange(len(stands)), -1))[:-1]
    again = np.zeros(len(stands), bool)
    again[1:] = (before >= 0) & (thing[before] == thing[1:]) & (at_ms[1:] - at_ms[before] <= rule.within_ms)
    return np.asarray(stands & ~again)
