"""Camera: what the detections of one camera say: a claim seen often or long enough, a crowd of persons."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from processors.batches import BoolArray, DetectionBatch, HashArray, IntArray
from processors.city import City
from processors.detect.camera_crowds import (
    CROWD_RULE,
    CROWD_SURGE,
    PERSON,
    PERSON_CLASSES,
    CrowdRule,
    are_crowded,
    crowds_of,
)
from processors.detect.camera_kinds import CLAIM_RULES, NO_CLAIM, ClaimRule, claim_of
from processors.detect.camera_looks import looks_of, openings
from processors.detect.camera_parking import PARKED, PARKED_KINDS, VEHICLES, judge_parked
from processors.domain import KEY_SEPARATOR, Domain, Findings, Rows, domain_of
from processors.heartbeat import HEARTBEAT_FORM
from processors.ingest import read_detections, read_messages, text_hashes
from processors.key_blocks import SlotArray
from processors.records_in import RawRecord
from processors.rows import Columns
from processors.tracks import Track, degrees_e7
from processors.watches.clocks import CAMERA_CLOCK, clocks_of
from processors.watches.silent_devices import SILENT_CAMERA, silence_of
from schemas.codec import Codec
from schemas.dictionary import Dictionary, DictionaryArray, dictionary_array
from schemas.records import DeviceKind


@dataclass(frozen=True, slots=True)
class CameraRule:
    """Thresholds; their sources are in docs/thresholds.md#camera."""

    claims: tuple[ClaimRule, ...] = CLAIM_RULES
    crowd: CrowdRule = CROWD_RULE

    @property
    def reach_ms(self) -> int:
        """How far back of a detection any other may count."""
        surge_ms = self.crowd.surge_ms + self.claims[CROWD_SURGE].reach_ms
        return max(surge_ms, *(rule.reach_ms for rule in self.claims))


CAMERA_RULE: Final = CameraRule()
NO_PICTURE: Final = Dictionary([b""])


@dataclass(frozen=True, slots=True)
class DetectionForm:
    """Camera detections. One camera and kind has one history; tracks tell detections of one frame apart.

    Where each track is a thing of its own, it has one too.
    """

    rule: CameraRule
    record: str = "CameraDetection"
    table: str = "detections"
    device_field: str = "camera_id"

    @property
    def remembered(self) -> dict[str, Any]:
        """Return the columns that detectors need."""
        return {
            "latitude_e7": np.int32,
            "longitude_e7": np.int32,
            "confidence": np.float32,
            "claim": np.int8,
            "tie": np.uint64,
            "snapshot_url": DictionaryArray,
        }

    @property
    def whole_ms(self) -> int:
        """Return how far back of a detection any other may count."""
        return self.rule.reach_ms

    def read(self, records: Sequence[RawRecord], codec: Codec, keys: Dictionary, city: City) -> Rows[DetectionBatch]:
        """Return n detections as columns."""
        return read_messages(
            records,
            codec,
            self.device_field,
            "device",
            lambda messages, mistakes: read_detections(messages, city, mistakes),
        )

    def slots(self, batch: DetectionBatch, keys: Dictionary) -> SlotArray:
        """Return the numbers of camera and kind, and of the track where it is a thing of its own."""
        own = {PARKED, *(index for index, rule in enumerate(self.rule.claims) if rule.by_track)}
        columns = (batch.camera_id, batch.kind, batch.object_class, batch.track_id)
        told = []
        for camera_id, kind, object_class, track_id in zip(*(column.tolist() for column in columns), strict=True):
            key = f"{camera_id}{KEY_SEPARATOR}{kind}"
            if _claim(kind, object_class) in own:
                key += f"{KEY_SEPARATOR}{text_hashes([track_id]).item():x}"
            told.append(key.encode())
        return keys.numbers(told)

    def ties(self, batch: DetectionBatch) -> HashArray:
        """Return the tracks as numbers."""
        return text_hashes(batch.track_id.tolist())

    def needs_whole(self, batch: DetectionBatch) -> BoolArray:
        """Return the rows that claim something or show a crowd: any number of others may lie in between."""
        claim = _claims(batch)
        claims = (claim != NO_CLAIM) & (claim != PERSON)
        return np.asarray(claims | are_crowded(batch, claim, self.rule.crowd))

    def place(self, batch: DetectionBatch, city: City) -> tuple[Columns, Columns]:
        """Find the units of n detections."""
        claim = judge_parked(batch, _claims(batch), city)
        rows: Columns = {
            "source_offset": batch.offset,
            "at_ms": batch.at_ms,
            "camera_id": batch.camera_id,
            "kind": batch.kind,
            "track_id": batch.track_id,
            "object_class": batch.object_class,
            "confidence": batch.confidence,
            "latitude_deg": batch.latitude_deg,
            "longitude_deg": batch.longitude_deg,
            "unit_code": city.locate_units(batch.latitude_deg, batch.longitude_deg),
            "model_version": batch.model_version,
            "snapshot_url": batch.snapshot_url,
            "clip_url": batch.clip_url,
        }
        remembered: Columns = {
            "latitude_e7": degrees_e7(batch.latitude_deg),
            "longitude_e7": degrees_e7(batch.longitude_deg),
            "confidence": batch.confidence,
            "claim": claim.astype(np.int8),
            "snapshot_url": _snapshots(batch, claim),
        }
        return rows, remembered

    def candidates(self, batch: DetectionBatch, remembered: Columns) -> BoolArray:
        """Return the detections of what is claimed that are sure enough, and the persons of a crowd."""
        claim = np.asarray(remembered["claim"], np.int64)
        limit = np.array([*(rule.confidence for rule in self.rule.claims), np.inf, np.inf], np.float32)
        return np.asarray((batch.confidence >= limit[claim]) | are_crowded(batch, claim, self.rule.crowd))

    def detect(self, track: Track) -> Findings:
        """Return the looks at which a claim begins to stand. Source: docs/thresholds.md#camera.

        value: of a crowd or surge that was counted, how many persons there are.
        """
        crowds, persons = crowds_of(track, self.rule.crowd)
        looks = looks_of(track, self.rule.claims)
        claimed, claim_score = openings(looks, self.rule.claims)
        counted, crowd_score = openings(crowds, self.rule.claims)
        row = np.concatenate([looks.row[claimed], crowds.row[counted]])
        claim = np.concatenate([looks.claim[claimed], crowds.claim[counted]])
        asked = track.anchor[row]
        return Findings(
            row=row[asked],
            kind=tuple(f"camera_{self.rule.claims[index].name}" for index in claim[asked].tolist()),
            score=np.concatenate([claim_score, crowd_score])[asked],
            value=np.concatenate([np.zeros(len(claimed)), persons[counted]])[asked],
        )


def camera_domain(rule: CameraRule = CAMERA_RULE) -> Domain:
    """Return what camera.detections.v1 is made of."""
    watches = (silence_of(SILENT_CAMERA), clocks_of(CAMERA_CLOCK))
    return domain_of(DetectionForm(rule), HEARTBEAT_FORM, devices=DeviceKind.CAMERA, watches=watches)


def _snapshots(batch: DetectionBatch, claim: IntArray) -> DictionaryArray:
    """Return the pictures of n detections of those claims, those that claim something alone."""
    told = (claim != NO_CLAIM) & (batch.snapshot_url != "")
    if not told.any():
        return DictionaryArray(np.zeros(len(batch), np.int32), NO_PICTURE)
    return dictionary_array(np.where(told, batch.snapshot_url, "").tolist())


def _claims(batch: DetectionBatch) -> IntArray:
    told = zip(batch.kind.tolist(), batch.object_class.tolist(), strict=True)
    return np.array([_claim(kind, object_class) for kind, object_class in told], dtype=np.int64)


@lru_cache(maxsize=4096)
def _claim(kind: str, object_class: str) -> int:
    """Return what a detection claims; of an everyday one whether it is of a person or of a parked vehicle."""
    claim, thing = claim_of(kind), object_class.lower()
    if claim != NO_CLAIM:
        return claim
    if thing in PERSON_CLASSES:
        return PERSON
    return PARKED if thing in VEHICLES and kind.strip().lower() in PARKED_KINDS else NO_CLAIM
