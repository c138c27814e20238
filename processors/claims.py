"""Claims: what a detector says of tracks as observations, and what late records change about it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from processors.batches import IntArray
from processors.detect.findings import chosen
from processors.domain import KEY_SEPARATOR, Findings, Form
from processors.history import History
from processors.marks import FAR_ALONG, OFF_LINE, direction_of
from processors.tracks import Track
from processors.vehicle_words import VehicleWord, read_words
from schemas.dictionary import joined
from schemas.ids import joined_id
from schemas.records import Observation


def changed_claims(
    form: Form[Any], history: History, before: Track, after: Track, source_topic: str, source_partition: int
) -> list[Observation]:
    """Return what the records of one interval add to a form's claims and, as withdrawn, what they take back.

    An id stands for all that is claimed, so another score or place is another observation. The source is the
    anchor's record where it is new, otherwise the last new record of its key up to the anchor's time: the cause.
    """

    def claims(track: Track, found: Findings) -> dict[str, Observation]:
        causes = _causes(after, track, found.row)
        made = _observations(history, track, found, causes, source_topic, source_partition)
        return {observation.observation_id: observation for observation in made}

    if not len(before):
        return list(claims(after, form.detect(after)).values()) if len(after) else []
    # To look at both as one takes hardly more steps than to look at one of them.
    found = form.detect(_end_to_end(before, after))
    rows = len(before)
    was = claims(before, chosen(found, found.row < rows))
    later = chosen(found, found.row >= rows)
    now = claims(after, replace(later, row=later.row - rows))
    added = [observation for name, observation in now.items() if name not in was]
    return added + [replace(observation, withdrawn=True) for name, observation in was.items() if name not in now]


def _end_to_end(before: Track, after: Track) -> Track:
    """Return two tracks of the same history as one; no slot of the one is a slot of the other."""
    apart = before.slot.max() + 1 - after.slot.min(initial=0)
    return Track(
        np.concatenate([before.slot, after.slot + apart]),
        np.concatenate([before.at_ms, after.at_ms]),
        {name: np.concatenate([column, after.columns[name]]) for name, column in before.columns.items()},
        {name: joined([told, after.texts[name]]) for name, told in before.texts.items()},
        np.concatenate([before.offset, after.offset]),
        np.concatenate([before.anchor, after.anchor]),
    )


def _causes(after: Track, track: Track, row: IntArray) -> list[int]:
    """Return the offset of what led to each of n findings."""
    own = track.offset[row]
    for place in np.flatnonzero(own < 0).tolist():
        earlier = (after.slot == track.slot[row[place]]) & (after.at_ms <= track.at_ms[row[place]])
        own[place] = after.offset[earlier].max()
    offsets: list[int] = own.tolist()
    return offsets


def _observations(
    history: History, track: Track, found: Findings, causes: list[int], source_topic: str, source_partition: int
) -> list[Observation]:
    """Return n findings as observations; by column, as a busy city makes a thousand a second."""
    row, columns = found.row, track.columns
    keys = history.keys.words[track.slot[row]].tolist()
    device_ids = [key.decode().partition(KEY_SEPARATOR)[0] for key in keys]

    def told(name: str, otherwise: Sequence[str]) -> Sequence[str]:
        return track.texts[name][row].tolist() if name in track.texts else otherwise

    direction_ids, line_offsets_m = _along(track, row)
    nothing = [""] * len(row)
    words = read_words(track.texts["word"], row) if "word" in track.texts else [VehicleWord()] * len(row)
    score_milli = [round(score * 1000) for score in found.score.tolist()]
    at_ms, content_hash = track.at_ms[row].tolist(), columns["content_hash"][row].tolist()
    values = [0.0] * len(row) if found.value is None else found.value.tolist()
    subjects = nothing if found.subject is None else found.subject
    told_ids = [
        joined_id("o", f"{parts}{value}\x1f{subject}\x1f" if value or subject else parts)
        for parts, value, subject in zip(
            map("{}\x1f{}\x1f{}\x1f{}\x1f{}\x1f".format, found.kind, device_ids, at_ms, score_milli, content_hash),
            values,
            subjects,
            strict=True,
        )
    ]
    places = zip(columns["latitude_e7"][row].tolist(), columns["longitude_e7"][row].tolist(), strict=True)
    scores = np.array([milli / 1000 for milli in score_milli], np.float32).tolist()
    witness_ids, snapshot_urls = told("witness_id", device_ids), told("snapshot_url", nothing)
    return [
        Observation(
            at_ms=at_ms[place],
            latitude_deg=latitude_e7 / 1e7,
            longitude_deg=longitude_e7 / 1e7,
            score=scores[place],
            source_offset=causes[place],
            source_partition=source_partition,
            source_topic=source_topic,
            observation_id=told_ids[place],
            kind=found.kind[place],
            device_id=device_ids[place],
            witness_id=witness_ids[place],
            line_id=words[place].line_id,
            snapshot_url=snapshot_urls[place],
            direction_id=direction_ids[place],
            line_offset_m=line_offsets_m[place],
            value=values[place],
            subject=subjects[place],
            vehicle_class=words[place].vehicle_class,
        )
        for place, (latitude_e7, longitude_e7) in enumerate(places)
    ]


def _along(track: Track, row: IntArray) -> tuple[list[int], list[float]]:
    """Return the directions and the metres along their own lines of n vehicles, -1 = unknown."""
    if "along_m" not in track.columns:
        return [-1] * len(row), [-1.0] * len(row)
    marks, along_m = track.columns["marks"][row], track.columns["along_m"][row]
    direction_id = direction_of(marks)
    known = (direction_id >= 0) & (along_m != FAR_ALONG) & (marks & OFF_LINE == 0)
    return direction_id.tolist(), np.where(known, along_m, -1.0).tolist()
