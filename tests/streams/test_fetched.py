"""Batches as they were fetched: a damaged one is refused just as aiokafka refuses it."""

from typing import Any

import pytest
from aiokafka import TopicPartition, conn
from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from streams import fetched
from streams.fetched import READ_AHEAD_BYTES, BatchRecords, Fetched, read_whole_batches

VALUES = st.lists(st.binary(max_size=40), min_size=1, max_size=5)


def batch_of(values: list[bytes], compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1_000_000)
    for offset, value in enumerate(values):
        builder.append(offset, 1_700_000_000_000, b"key", value, [])
    return bytes(builder.build())


def old_batch_of(value: bytes) -> bytes:
    builder = LegacyRecordBatchBuilder(1, 0, 1_000_000)
    builder.append(0, timestamp=1_700_000_000_000, key=b"key", value=value)
    return bytes(builder.build())


def verdicts(records: Any) -> list[bool]:
    found = []
    while records.has_next():
        found.append(records.next_batch().validate_crc())
    return found


@pytest.fixture(params=[True, False], ids=["by hardware", "by table"])
def checksum(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param and not fetched.BY_HARDWARE:
        pytest.skip("google-crc32c has no compiled wheel for this machine; aiokafka's own checksum is used")
    monkeypatch.setattr(fetched, "BY_HARDWARE", request.param)


@pytest.mark.usefixtures("checksum")
def test_a_damaged_batch_is_told_from_sound_ones() -> None:
    packed = batch_of([b"2" * 100], compression=1)
    first, third = batch_of([b"1", b"one"]), batch_of([b"3"])
    assert verdicts(Fetched(first + packed + third)) == [True, True, True]
    damaged = bytearray(packed)
    damaged[-1] ^= 1
    log = first + bytes(damaged) + third
    assert verdicts(Fetched(log)) == [True, False, True]
    read = BatchRecords(TopicPartition("t", 0), Fetched(log), [], 0, None, None, True, READ_UNCOMMITTED)
    assert [one.value for one in next(read)] == [b"1", b"one"]
    with pytest.raises(CorruptRecordException):
        next(read)


def test_connections_are_opened_with_the_longer_read_ahead() -> None:
    read_whole_batches()
    assert conn.READER_LIMIT == READ_AHEAD_BYTES
    assert "READER_LIMIT" in conn.AIOKafkaConnection.connect.__code__.co_names


@given(VALUES, VALUES, st.data())
def test_any_damage_is_judged_as_aiokafka_judges_it(one: list[bytes], other: list[bytes], data: st.DataObject) -> None:
    log = bytearray(batch_of(one) + batch_of(other) + old_batch_of(b"old"))
    place = data.draw(st.integers(0, len(log) - 1))
    length = range(8, 12)
    starts = (0, len(batch_of(one)), len(batch_of(one)) + len(batch_of(other)))
    if all(place - start not in length for start in starts):  # where the next one begins stays known
        log[place] ^= data.draw(st.integers(1, 255))
    assert _told(Fetched(bytes(log))) == _told(MemoryRecords(bytes(log)))


def _told(records: Any) -> list[bool] | str:
    try:
        return verdicts(records)
    except Exception as error:
        return repr(error)
