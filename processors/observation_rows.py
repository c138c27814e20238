"""Rows of the table `observations`: one a claim and one a withdrawal."""

from collections.abc import Sequence

import numpy as np

from processors.batches import IntArray
from processors.city import City
from processors.rows import Columns, texts
from schemas.records import Observation


def observation_columns(
    observations: Sequence[Observation], tick_ms: int, source_offset: IntArray, city: City
) -> Columns:
    """Return n observations of a tick as columns; source_offset (n,): where the log has what they came from."""
    latitude_deg = np.array([one.latitude_deg for one in observations])
    longitude_deg = np.array([one.longitude_deg for one in observations])
    return {
        "source_offset": source_offset,
        "at_ms": np.array([one.at_ms for one in observations], dtype=np.int64),
        "tick_ms": np.full(len(observations), tick_ms),
        "observation_id": texts([one.observation_id for one in observations]),
        "kind": texts([one.kind for one in observations]),
        "score": np.array([one.score for one in observations], dtype=np.float32),
        "withdrawn": np.array([one.withdrawn for one in observations], dtype=np.uint8),
        "latitude_deg": latitude_deg,
        "longitude_deg": longitude_deg,
        "unit_code": city.locate_units(latitude_deg, longitude_deg),
        "device_id": texts([one.device_id for one in observations]),
        "witness_id": texts([one.witness_id for one in observations]),
        "line_id": texts([one.line_id for one in observations]),
        "direction_id": np.array([one.direction_id for one in observations], dtype=np.int8),
        "value": np.array([one.value for one in observations], dtype=np.float64),
        "subject": texts([one.subject for one in observations]),
    }
