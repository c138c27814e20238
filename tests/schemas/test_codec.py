import struct
import typing
from enum import StrEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec as codec_module
from schemas import records
from schemas.codec import HEADER_BYTES, NAMES, Codec, local_codec, schema_id_of, schema_text
from schemas.errors import Reason, Rejected

CODEC = local_codec()
LONGS = st.integers(-(2**63), 2**63 - 1)
INTS = st.integers(-(2**31), 2**31 - 1)
DEEP = {"float": st.floats(width=32, allow_nan=False), "double": st.floats(allow_nan=False)}


def strategy_of(schema: Any) -> st.SearchStrategy[Any]:
    """Values that a schema allows, as the dataclasses hold them."""
    if isinstance(schema, str):
        short = schema.rpartition(".")[2]
        primitives: dict[str, st.SearchStrategy[Any]] = {
            "int": INTS, "long": LONGS, "boolean": st.booleans(), "string": st.text(max_size=8),
            "bytes": st.binary(max_size=8), "null": st.none(), **DEEP,
        }  # fmt: skip
        return primitives[short] if short in primitives else st.sampled_from(list(getattr(records, short)))
    if isinstance(schema, list):
        return st.one_of([strategy_of(item) for item in schema])
    if schema["type"] == "array":
        return st.lists(strategy_of(schema["items"]), max_size=3).map(tuple)
    if schema["type"] == "enum":
        kind: type[StrEnum] = getattr(records, schema["name"].rpartition(".")[2])
        return st.sampled_from(list(kind))
    if schema["type"] == "record":
        record = getattr(records, schema["name"].rpartition(".")[2])
        return st.builds(record, **{field["name"]: strategy_of(field["type"]) for field in schema["fields"]})
    return strategy_of(schema["type"])


def resolved(name: str) -> Any:
    return codec_module.parsed_schema(name)


def reason_of(value: bytes | None, reader: Codec = CODEC) -> Reason:
    with pytest.raises(Rejected) as refused:
        reader.decode(value)
    return refused.value.reason


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_was_encoded_is_read_back(name: str, data: st.DataObject) -> None:
    record = data.draw(strategy_of(resolved(name)))
    assert CODEC.read(CODEC.encode(record), type(record)) == record


def test_numbers_of_numpy_and_any_bytes_are_written_as_those_of_python() -> None:
    tick = records.Tick(at_ms=np.int64(1_790_000_000_000))  # type: ignore[arg-type]
    assert CODEC.read(CODEC.encode(tick), records.Tick) == records.Tick(at_ms=1_790_000_000_000)
    for values in (b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")):
        column = records.Column(name=np.str_("a"), dtype="u1", values=values)  # type: ignore[arg-type]
        assert CODEC.read(CODEC.encode(column_frame(column)), records.RowFrame).columns[0].values == b"\x00\xff"
    with pytest.raises(TypeError, match="holds a object"):
        CODEC.encode(records.Tick(at_ms=object()))  # type: ignore[arg-type]


def column_frame(column: records.Column) -> records.RowFrame:
    return records.RowFrame(
        tick_ms=0, first_offset=0, last_offset=0, source_partition=0, rows=2, source_topic="t", table="t",
        columns=(column,),
    )  # fmt: skip


def test_wire_format_is_confluents() -> None:
    value = CODEC.encode(records.Tick(at_ms=1))
    assert value == b"\0" + struct.pack(">I", NAMES.index("Tick") + 1) + b"\x02"
    assert schema_id_of(value) == NAMES.index("Tick") + 1
    assert schema_id_of(b"\x01\0\0\0\x01\x02") is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.NULL_VALUE),
        (b"", Reason.NOT_AVRO),
        (b"\0\0\0", Reason.NOT_AVRO),
        (b"{}", Reason.NOT_AVRO),
        (b"\0\xff\xff\xff\xff", Reason.UNKNOWN_SCHEMA_ID),
    ],
)
def test_what_is_no_message_is_rejected_with_its_reason(value: bytes | None, reason: Reason) -> None:
    assert reason_of(value) is reason


def test_cut_and_overlong_messages_are_not_avro() -> None:
    whole = CODEC.encode(records.Heartbeat(at_ms=1_700_000_000_000, device_id="c-1"))
    assert reason_of(whole[:-1]) is Reason.NOT_AVRO
    assert reason_of(whole + b"\0") is Reason.NOT_AVRO


def test_why_a_cut_message_is_rejected_is_the_same_each_time() -> None:
    reading = records.SensorReading(
        at_ms=1_700_000_000_000,
        latitude_deg=21.0,
        longitude_deg=105.8,
        value=3.5,
        sensor_id="AQ-1",
        quantity="pm25",
        measure_unit="ug/m3",
    )
    whole = CODEC.encode(reading)
    for length in range(HEADER_BYTES, len(whole)):
        told = []
        for _ in range(2):
            with pytest.raises(Rejected) as refused:
                CODEC.decode(whole[:length])
            told.append(refused.value)  # the first one is kept: what it read from has not left its address
        assert told[0].errors == told[1].errors


def test_foreign_record_is_a_wrong_record() -> None:
    reader = local_codec()
    reader.learn(900, '{"type": "record", "name": "elsewhere.Order", "fields": [{"name": "n", "type": "int"}]}')
    assert reader.knows(900)
    assert reason_of(b"\0" + (900).to_bytes(4, "big") + b"\x02", reader) is Reason.WRONG_RECORD


def test_older_writer_is_read_with_defaults() -> None:
    reader = local_codec()
    older = '{"type":"record","name":"cityops.Heartbeat","fields":[{"name":"at_ms","type":"long"},{"name":"device_id","type":"string"}]}'  # noqa: E501
    reader.learn(901, older)
    value = b"\0" + (901).to_bytes(4, "big") + b"\x02" + b"\x06c-1"
    assert reader.read(value, records.Heartbeat) == records.Heartbeat(at_ms=1, device_id="c-1")


@settings(max_examples=300, deadline=None)
@given(schema_id=st.integers(0, len(NAMES) + 2), body=st.binary(max_size=200))
def test_garbage_raises_nothing_but_rejected(schema_id: int, body: bytes) -> None:
    value = b"\0" + schema_id.to_bytes(4, "big") + body
    try:
        name, fields = CODEC.decode(value)
    except Rejected:
        return
    assert name in NAMES
    assert set(fields) == {field["name"] for field in resolved(name)["fields"]}


def outcome_of(value: bytes) -> str:
    """The record that the bytes are, or why they were rejected; anything else that is raised fails the test."""
    try:
        return CODEC.decode(value)[0]
    except Rejected as rejected:
        return rejected.reason


@settings(max_examples=200, deadline=None)
@given(value=st.binary(max_size=64))
def test_any_bytes_raise_nothing_but_rejected(value: bytes) -> None:
    assert outcome_of(value) in {*NAMES, Reason.NOT_AVRO, Reason.UNKNOWN_SCHEMA_ID}


@pytest.mark.parametrize("name", NAMES)
def test_huge_claimed_lengths_are_rejected_at_once(name: str) -> None:
    schema_id = (NAMES.index(name) + 1).to_bytes(4, "big")
    for body in (b"\xff" * 9 + b"\x01", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" * 12, b"\x02" * 4096):
        assert outcome_of(b"\0" + schema_id + body) in {name, Reason.NOT_AVRO}


def test_schema_texts_are_one_record_each() -> None:
    assert all(f'"name": "{name}"' in schema_text(name) for name in NAMES)
    assert typing.get_type_hints(records.Tick) == {"at_ms": int}
