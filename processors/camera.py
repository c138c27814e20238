"""Camera: what the detections of one camera say: the same claim twice within seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from processors.batches import BoolArray, DetectionBatch, HashArray, SmallArray
from processors.city import City
from processors.domain import KEY_SEPARATOR, Domain, Findings, Rows, domain_of
from processors.heartbeat import HEARTBEAT_FORM
from processors.ingest import read_detections, read_messages, text_hashes
from processors.key_blocks import SlotArray
from processors.records_in import RawRecord
from processors.rows import Columns
from processors.tracks import Track, degrees_e7
from schemas.codec import Codec
from schemas.dictionary import Dictionary, DictionaryArray, dictionary_array
from schemas.records import DeviceKind

CLAIMS: Final = ("crash", "smoke", "fire")
"""Kinds of detections that become observations, as camera_crash and so on."""

NO_CLAIM: Final = -1
_CLAIM_OF: Final[Mapping[str, int]] = {kind: index for index, kind in enumerate(CLAIMS)}


@dataclass(frozen=True, slots=True)
class CameraRule:
    """Thresholds; their sources are in docs/thresholds.md#camera."""

    confidence: float = 0.5
    pair_ms: int = 10_000


CAMERA_RULE: Final = CameraRule()


@dataclass(frozen=True, slots=True)
class DetectionForm:
    """Camera detections. One camera and kind has one history; tracks tell detections of one frame apart."""

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
        """Return two pairs: a look counts by the look before it, and that by its own predecessor."""
        return 2 * self.rule.pair_ms

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
        """Return the numbers of camera and kind."""
        pairs = zip(batch.camera_id.tolist(), batch.kind.tolist(), strict=True)
        return keys.numbers([f"{camera_id}{KEY_SEPARATOR}{kind}".encode() for camera_id, kind in pairs])

    def ties(self, batch: DetectionBatch) -> HashArray:
        """Return the tracks as numbers."""
        return text_hashes(batch.track_id.tolist())

    def needs_whole(self, batch: DetectionBatch) -> BoolArray:
        """Return the rows that claim something: any number of weak or simultaneous ones may lie in between."""
        return np.asarray(_claims(batch) != NO_CLAIM)

    def place(self, batch: DetectionBatch, city: City) -> tuple[Columns, Columns]:
        """Find the units of n detections."""
        claim = _claims(batch)
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
            "claim": claim,
            "snapshot_url": dictionary_array(np.where(claim != NO_CLAIM, batch.snapshot_url, "").tolist()),
        }
        return rows, remembered

    def candidates(self, batch: DetectionBatch, remembered: Columns) -> BoolArray:
        """Return the detections of what is claimed that are sure enough."""
        sure = batch.confidence >= self.rule.confidence
        return np.asarray(sure & (np.asarray(remembered["claim"]) != NO_CLAIM))

    def detect(self, track: Track) -> Findings:
        """Return the second of every first close pair of strong detections of one camera and kind.

        Detections of one instant are one look, represented by the surest. A finding is a look at most `pair_ms`
        after the look before it, which itself is not that close to its own predecessor; its score is the higher
        confidence of the two. Source: docs/thresholds.md#camera.
        """
        columns = track.columns
        strong = np.flatnonzero((columns["claim"] != NO_CLAIM) & (columns["confidence"] >= self.rule.confidence))
        order = np.lexsort(
            (columns["tie"][strong], -columns["confidence"][strong], track.at_ms[strong], track.slot[strong])
        )
        look = strong[order]
        same = np.zeros(len(look), bool)
        same[1:] = (np.diff(track.at_ms[look]) == 0) & (np.diff(track.slot[look]) == 0)
        look = look[~same]
        close = np.zeros(len(look), bool)
        close[1:] = (np.diff(track.at_ms[look]) <= self.rule.pair_ms) & (np.diff(track.slot[look]) == 0)
        opens = close.copy()
        opens[1:] &= ~close[:-1]
        second = np.flatnonzero(opens & track.anchor[look])
        row = look[second]
        score = np.maximum(columns["confidence"][row], columns["confidence"][look[second - 1]])
        kind = tuple(f"camera_{CLAIMS[claim]}" for claim in columns["claim"][row].tolist())
        return Findings(row, kind, score.astype(np.float64))


def camera_domain(rule: CameraRule = CAMERA_RULE) -> Domain:
    """Return what camera.detections.v1 is made of."""
    return domain_of(DetectionForm(rule), HEARTBEAT_FORM, devices=DeviceKind.CAMERA)


def _claims(batch: DetectionBatch) -> SmallArray:
    return np.array([_CLAIM_OF.get(kind, NO_CLAIM) for kind in batch.kind.tolist()], dtype=np.int8)
