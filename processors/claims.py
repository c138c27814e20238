"""Claims: what a detector says of tracks as observations, and what late records change about it."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from processors.domain import KEY_SEPARATOR, Form
from processors.history import History
from processors.marks import FAR_ALONG, OFF_LINE, direction_of
from processors.tracks import Track
from processors.vehicle_words import NOTHING_SAID, read_word
from schemas.ids import content_id
from schemas.records import Observation


class _Claim(NamedTuple):
    """One finding of a detector."""

    row: int
    kind: str
    score: float
    value: float
    subject: str


def changed_claims(
    form: Form[Any], history: History, before: Track, after: Track, source_topic: str, source_partition: int
) -> list[Observation]:
    """Return what the records of one interval add to a form's claims and, as withdrawn, what they take back.

    An id stands for all that is claimed, so another score or place is another observation. The source is the
    anchor's record where it is new, otherwise the last new record of its key up to the anchor's time: the cause.
    """

    def claims(track: Track) -> dict[str, Observation]:
        if not len(track):
            return {}
        found = form.detect(track)
        values = [0.0] * len(found.row) if found.value is None else found.value.tolist()
        subjects = ("",) * len(found.row) if found.subject is None else found.subject
        told = zip(found.row.tolist(), found.kind, found.score.tolist(), values, subjects, strict=True)
        made = [
            _observation(history, track, _Claim(*one), _cause(after, track, one[0]), source_topic, source_partition)
            for one in told
        ]
        return {observation.observation_id: observation for observation in made}

    was, now = claims(before), claims(after)
    added = [observation for name, observation in now.items() if name not in was]
    return added + [replace(observation, withdrawn=True) for name, observation in was.items() if name not in now]


def _cause(after: Track, track: Track, row: int) -> int:
    own = int(track.offset[row])
    if own >= 0:
        return own
    return int(after.offset[(after.slot == track.slot[row]) & (after.at_ms <= track.at_ms[row])].max())


def _observation(
    history: History, track: Track, claim: _Claim, source_offset: int, source_topic: str, source_partition: int
) -> Observation:
    columns, row = track.columns, claim.row
    device_id = history.key_of(int(track.slot[row])).partition(KEY_SEPARATOR)[0]
    at_ms, score_milli, content_hash = (
        int(track.at_ms[row]),
        round(claim.score * 1000),
        int(columns["content_hash"][row]),
    )
    more = (claim.value, claim.subject) if claim.value or claim.subject else ()

    def told(name: str, otherwise: str = "") -> str:
        return track.texts[name].text(row) if name in track.texts else otherwise

    word = read_word(track.texts["word"].text(row)) if "word" in track.texts else NOTHING_SAID
    direction_id, line_offset_m = _along(track, row)
    return Observation(
        at_ms=at_ms,
        latitude_deg=int(columns["latitude_e7"][row]) / 1e7,
        longitude_deg=int(columns["longitude_e7"][row]) / 1e7,
        score=float(np.float32(score_milli / 1000)),
        source_offset=source_offset,
        source_partition=source_partition,
        source_topic=source_topic,
        observation_id=content_id("o", claim.kind, device_id, at_ms, score_milli, content_hash, *map(str, more)),
        kind=claim.kind,
        device_id=device_id,
        witness_id=told("witness_id", device_id),
        line_id=word.line_id,
        snapshot_url=told("snapshot_url"),
        direction_id=direction_id,
        line_offset_m=line_offset_m,
        value=claim.value,
        subject=claim.subject,
        vehicle_class=word.vehicle_class,
    )


def _along(track: Track, row: int) -> tuple[int, float]:
    """Return the direction and the metres along its own line of a vehicle, -1 = unknown."""
    if "along_m" not in track.columns:
        return -1, -1.0
    marks, along_m = track.columns["marks"][row], int(track.columns["along_m"][row])
    direction_id = int(direction_of(marks))
    known = direction_id >= 0 and along_m != FAR_ALONG and not marks & OFF_LINE
    return direction_id, float(along_m) if known else -1.0
