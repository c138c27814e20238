from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from processors import rows
from processors.rows import RowBuffer, texts
from schemas.columns import unpack
from schemas.tables import TABLES


def heartbeats(*offsets: int, device_id: str = "cam-1") -> dict[str, npt.NDArray[Any]]:
    return {
        "source_offset": np.array(offsets, dtype=np.int64),
        "at_ms": np.array(offsets, dtype=np.int64) * 10,
        "device_id": texts([device_id] * len(offsets)),
        "firmware_version": texts([""] * len(offsets)),
    }


def test_cut_covers_the_offsets_since_the_cut_before() -> None:
    buffer = RowBuffer("camera.detections.v1", 3, first_offset=7)
    buffer.add("heartbeats", heartbeats(8, 9))
    buffer.add("heartbeats", heartbeats(11))
    (frame,) = buffer.cut(tick_ms=250, last_offset=12)
    assert (frame.table, frame.rows, frame.source_topic, frame.source_partition) == (
        "heartbeats", 3, "camera.detections.v1", 3,
    )  # fmt: skip
    assert (frame.first_offset, frame.last_offset, frame.tick_ms) == (7, 12, 250)
    assert [column.name for column in frame.columns] == [column.name for column in TABLES["heartbeats"].columns]
    assert unpack(frame.columns)["source_offset"].tolist() == [8, 9, 11]
    assert buffer.rows == 0
    assert buffer.cut(tick_ms=500, last_offset=20) == ()
    buffer.add("heartbeats", heartbeats(21))
    assert buffer.cut(tick_ms=750, last_offset=22)[0].first_offset == 21


def test_add_counts_rows_and_refuses_other_columns() -> None:
    buffer = RowBuffer("t", 0, 0)
    buffer.add("heartbeats", heartbeats())
    assert buffer.rows == 0
    buffer.add("heartbeats", heartbeats(1, 2))
    assert buffer.rows == 2
    with pytest.raises(ValueError, match="wants the columns"):
        buffer.add("readings", heartbeats(1))


def test_values_are_cast_to_the_tables_dtypes() -> None:
    buffer = RowBuffer("t", 0, 0)
    buffer.add("duplicates", {
        "source_offset": np.array([1], dtype=np.int32), "source_index": np.array([7]), "at_ms": np.array([2]),
        "tick_ms": np.array([3]), "device_id": texts(["bus-1"]),
    })  # fmt: skip
    (frame,) = buffer.cut(3, 4)
    assert [column.dtype for column in frame.columns] == ["<i8", "<i4", "<i8", "<i8", "utf8"]


def test_a_frame_too_long_to_send_is_split_at_an_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FRAME_BYTES", 400)
    buffer = RowBuffer("t", 0, 0)
    buffer.add("heartbeats", heartbeats(5, 3, 3, 9, 12, 40, 41, 41, device_id="x" * 40))
    frames = buffer.cut(tick_ms=1, last_offset=50)
    assert len(frames) > 1
    assert frames[0].first_offset == 0
    assert frames[-1].last_offset == 50
    stored = []
    for before, after in pairwise(frames):
        assert after.first_offset == before.last_offset + 1
    for frame in frames:
        offsets = unpack(frame.columns)["source_offset"].tolist()
        assert all(frame.first_offset <= offset <= frame.last_offset for offset in offsets)
        stored += offsets
    assert sorted(stored) == [3, 3, 5, 9, 12, 40, 41, 41]


def test_rows_of_one_offset_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FRAME_BYTES", 1)
    buffer = RowBuffer("t", 0, 0)
    buffer.add("heartbeats", heartbeats(5, 5, 5))
    assert [frame.rows for frame in buffer.cut(1, 9)] == [3]
