"""Values come back from ClickHouse as they went in, whatever they are."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import UsageError
from schemas.tables import TABLES
from sinks.clickhouse.native import LAST_MS
from sinks.clickhouse.queries import count_rows, query, stored_offsets
from sinks.clickhouse.writer import Writer
from tests.sinks.frames import NOON_MS, TOPIC, frame

pytestmark = pytest.mark.stack

EXAMPLES = count()


def test_position_comes_back_to_the_bit(url: str, database: str) -> None:
    biggest = np.iinfo("<u8").max
    columns: dict[str, Any] = {
        "at_ms": [0, 1, 2_000_000_000_123, 4_294_967_296_001, LAST_MS],
        "vehicle_id": ["", "xe buýt số 1", "v" * 10_000, "tab\tquote'\\n\0", "🚌"],
        "latitude_deg": [np.nan, np.inf, -0.0, 21.028511123456789, 5e-324],
        "speed_mm_s": [-1, 0, 1, 2**31 - 1, -(2**31)],
        "bearing_deg": np.array([np.nan, 359.9, 0, 1e-38, 3.4e38], "<f4"),
        "direction_id": [-128, -1, 0, 1, 127],
        "unit_code": ["", "00004", "00004", "ph\u01b0\u1eddng", "x" * 10_000],
        "cell": np.array([0, 1, 2**63, biggest - 1, biggest], "<u8"),
    }
    Writer(url, database).write(frame("positions", 5, first_offset=2**53, **columns))
    names = "source_offset, toUnixTimestamp64Milli(at_ms) AS at_ms, " + ", ".join(list(columns)[1:])
    rows = query(url, database, f"SELECT {names} FROM positions ORDER BY source_offset").rows
    stored = dict(zip(["source_offset", *columns], zip(*rows, strict=True), strict=True))
    assert stored.pop("source_offset") == tuple(range(2**53, 2**53 + 5))
    for name, values in columns.items():
        np.testing.assert_array_equal(np.array(stored[name]), np.array(values), err_msg=name)


def test_times_are_utc_and_days_reach_from_1970_to_2299(url: str, database: str) -> None:
    times = [0, NOON_MS, 4_294_967_296_000, LAST_MS]
    Writer(url, database).write(frame("positions", 4, at_ms=times, line_id="01"))
    assert query(url, database, "SELECT toString(at_ms) FROM positions ORDER BY at_ms").rows == (
        ("1970-01-01 00:00:00.000",),
        ("2026-11-21 12:00:00.000",),
        ("2106-02-07 06:28:16.000",),
        ("2299-12-31 23:59:59.999",),
    )
    noon = query(url, database, "SELECT at_ms FROM positions WHERE at_ms < '2027-01-01' ORDER BY at_ms").rows[-1]
    assert noon == (datetime(2026, 11, 21, 12, tzinfo=UTC),)
    sql = "SELECT DISTINCT partition FROM system.parts WHERE database = %(database)s AND table = %(table)s ORDER BY 1"
    days = (("19700101",), ("20261121",), ("21060207",), ("22991231",))
    for table in ("positions", "minute_aggregates"):
        assert query(url, database, sql, {"database": database, "table": table}).rows == days
    minutes = [row[0] for row in query(url, database, "SELECT minute FROM minutes ORDER BY minute").rows]
    assert minutes[-1] == datetime(2299, 12, 31, 23, 59, tzinfo=UTC)


def test_low_cardinality_takes_many_values(url: str, database: str) -> None:
    rows = 70_000
    many = [f"unit {number}" for number in range(rows)]
    Writer(url, database).write(frame("heartbeats", rows, firmware_version=many))
    sql = "SELECT uniqExact(firmware_version), min(firmware_version), max(firmware_version) FROM heartbeats"
    assert query(url, database, sql).rows == ((rows, "unit 0", "unit 9999"),)


def test_lists_come_back_as_arrays(url: str, database: str) -> None:
    errors = ["", "one", "latitude_deg is 200\nspeed_mps is NaN", "l" * 10_000]
    Writer(url, database).write(frame("rejected", 4, reason="out_of_range", errors=errors))
    rows = query(url, database, "SELECT errors FROM rejected ORDER BY source_offset").rows
    assert rows == (([],), (["one"],), (["latitude_deg is 200", "speed_mps is NaN"],), (["l" * 10_000],))


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_however_it_travels(url: str, database: str, texts: list[str]) -> None:
    """A word of a dictionary never ends in NUL."""
    words = [text.rstrip("\0") for text in texts]
    writer = Writer(url, database)
    for by_dictionary, sent in ((False, texts), (True, words)):
        example, rows = next(EXAMPLES), len(texts)
        where: dict[str, Any] = {"partition": example, "by_dictionary": by_dictionary}
        writer.write(frame("heartbeats", rows, device_id=sent, firmware_version=sent, **where))
        writer.write(frame("incident_log", rows, place=sent, kind=sent, line_ids=sent, **where))
        for table, columns in (("heartbeats", "device_id, firmware_version"), ("incident_log", "place, kind")):
            sql = f"SELECT {columns} FROM {table} WHERE source_partition = %(example)s ORDER BY source_offset"
            assert query(url, database, sql, {"example": example}).rows == tuple((text, text) for text in sent)
        sql = "SELECT line_ids FROM incident_log WHERE source_partition = %(example)s ORDER BY source_offset"
        lists = tuple((text.split("\n") if text else [],) for text in sent)
        assert query(url, database, sql, {"example": example}).rows == lists
    writer.close()


@pytest.mark.parametrize("words", [1, 200, 300, 70_000])
def test_numbers_of_words_are_stored_in_each_of_their_widths(url: str, database: str, words: int) -> None:
    rows = max(words, 1000)
    texts = [f"{row % words:05d}" for row in range(rows)]
    Writer(url, database).write(frame("heartbeats", rows, by_dictionary=True, device_id=texts, firmware_version=texts))
    right = "device_id = firmware_version AND toUInt32(device_id) = modulo(source_offset, %(words)s)"
    sql = f"SELECT count(), uniqExact(device_id), countIf({right}) FROM heartbeats"
    assert query(url, database, sql, {"words": words}).rows == ((rows, words, rows),)


def test_compressed_connection_stores_the_same(url: str, database: str) -> None:
    texts = [f"vehicle {row % 7}" for row in range(5000)]
    for number, address in enumerate((url, f"{url}/?compression=lz4")):
        item = frame("positions", 5000, first_offset=5000 * number, by_dictionary=True, vehicle_id=texts, line_id=texts)
        Writer(address, database).write(item)
    sql = "SELECT vehicle_id, count() FROM positions GROUP BY vehicle_id, line_id ORDER BY vehicle_id LIMIT 1"
    assert query(url, database, sql).rows == (("vehicle 0", 1430),)


def test_offsets_and_counts_are_those_stored(url: str, database: str) -> None:
    writer = Writer(url, database)
    writer.write(frame("duplicates", 3, first_offset=10, partition=2, source_index=[0, 7, 1]))
    writer.write(frame("duplicates", 2, first_offset=7, partition=0))
    writer.write(frame("duplicates", 2, first_offset=7, partition=0, topic="sensor.readings.v1"))
    stored = stored_offsets(url, database, "duplicates", TOPIC)
    assert (stored.partition.tolist(), stored.offset.tolist()) == ([0, 0, 2, 2, 2], [7, 8, 10, 11, 12])
    assert stored.index.tolist() == [0, 0, 0, 7, 1]
    writer.write(frame("forwarded", 1))
    assert stored_offsets(url, database, "forwarded", TOPIC).index.tolist() == [-1], "always whole"
    assert (stored.partition.dtype, stored.offset.dtype) == (np.dtype("int32"), np.dtype("int64"))
    assert len(stored_offsets(url, database, "duplicates", "camera.detections.v1").offset) == 0
    assert count_rows(url, database) == {**dict.fromkeys(TABLES, 0), "duplicates": 7, "forwarded": 1}


def test_query_mistakes_are_told_in_a_sentence_and_nothing_is_changed(url: str, database: str) -> None:
    with pytest.raises(UsageError, match="Unknown"):
        query(url, database, "SELECT colour FROM positions")
    with pytest.raises(UsageError, match="does not exist"):
        count_rows(url, "cityops_nowhere")
    with pytest.raises(UsageError, match="there is no table 'position'"):
        stored_offsets(url, database, "position", TOPIC)
    with pytest.raises(UsageError, match="readonly"):
        query(url, database, "DROP TABLE positions")
