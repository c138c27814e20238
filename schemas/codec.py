"""Records to bytes and back: Avro in Confluent's wire format (0, schema id as 4 bytes big-endian, Avro body)."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final, TypeVar

import fastavro
import msgspec
import numpy as np
import numpy.typing as npt

from schemas.errors import Reason, Rejected

SCHEMA_FOLDER: Final = Path(__file__).parent / "avsc"
NAMESPACE: Final = "cityops"
HEADER_BYTES: Final = 5

NAMES: Final = tuple(sorted(path.stem for path in SCHEMA_FOLDER.glob("*.avsc")))
"""Short names of all records."""

_BYTES: Final = (bytes, bytearray, memoryview)
"""What goes into an Avro field of bytes as it is."""

T = TypeVar("T")


@cache
def schema_text(name: str) -> str:
    """Return the schema of one record, by its short name, as its file says it."""
    return (SCHEMA_FOLDER / f"{name}.avsc").read_text(encoding="utf-8")


@cache
def parsed_schema(name: str) -> dict[str, Any]:
    """Return fastavro's parsed form of our own schema of that record."""
    return _parse(schema_text(name))


def schema_id_of(value: bytes) -> int | None:
    """Return the schema id a message claims, or None when it is not in Confluent's wire format."""
    if len(value) < HEADER_BYTES or value[0] != 0:
        return None
    return int.from_bytes(value[1:HEADER_BYTES], "big")


def schema_ids(values: Sequence[bytes | None]) -> npt.NDArray[np.int64]:
    """Return the schema ids (n,) that n messages claim, -1 where one is not in Confluent's wire format."""
    whole = [value or b"" for value in values]
    heads = np.array(whole, f"S{HEADER_BYTES}").view(np.uint8).reshape(len(whole), HEADER_BYTES)
    claimed = np.ascontiguousarray(heads[:, 1:]).view(">u4")[:, 0].astype(np.int64)
    length = np.fromiter(map(len, whole), np.int64, len(whole))
    return np.where((heads[:, 0] == 0) & (length >= HEADER_BYTES), claimed, -1)


class Codec:
    """Encodes and decodes with the schema ids a registry gave out.

    ids: short record name -> schema id to write with.
    writers: schema id -> schema text, every id that may be read; extend it with `learn`.
    """

    def __init__(self, ids: Mapping[str, int], writers: Mapping[int, str]) -> None:
        self._ids = dict(ids)
        self._writers: dict[int, dict[str, Any]] = {}
        self._names: dict[int, str] = {}
        self._ours: set[int] = set()
        for schema_id, text in writers.items():
            self.learn(schema_id, text)

    def knows(self, schema_id: int) -> bool:
        """Tell whether messages of that schema id can be read."""
        return schema_id in self._names

    def name_of(self, schema_id: int) -> str | None:
        """Return the short record name of a schema id, or None when messages of it cannot be read."""
        return self._names.get(schema_id)

    def ids_of(self, name: str) -> list[int]:
        """Return the schema ids under which a record may come."""
        return [schema_id for schema_id, known in self._names.items() if known == name]

    def ids_as_ours(self, name: str) -> list[int]:
        """Return those of them whose writer's schema is our own, so that the bytes are laid out as ours are."""
        return [schema_id for schema_id in self.ids_of(name) if schema_id in self._ours]

    def learn(self, schema_id: int, text: str) -> None:
        """Add a writer's schema."""
        parsed = _parse(text)
        self._writers[schema_id] = parsed
        self._names[schema_id] = name = str(parsed["name"]).rpartition(".")[2]
        if name in NAMES and parsed == parsed_schema(name):
            self._ours.add(schema_id)

    def encode(self, record: Any) -> bytes:
        """Encode one of schemas.records with our own schema of it."""
        name = type(record).__name__
        out = BytesIO()
        out.write(b"\0" + self._ids[name].to_bytes(4, "big"))
        fields = msgspec.to_builtins(record, builtin_types=_BYTES, enc_hook=_from_numpy)
        fastavro.schemaless_writer(out, parsed_schema(name), fields)
        return out.getvalue()

    def decode(self, value: bytes | None) -> tuple[str, dict[str, Any]]:
        """Return the short record name and the fields, in our own version of its schema.

        Raises Rejected: null_value, not_avro, unknown_schema_id, wrong_record (a record we have no schema of).
        """
        if value is None:
            raise Rejected(Reason.NULL_VALUE, ("the message has no value",))
        schema_id = schema_id_of(value)
        if schema_id is None:
            raise Rejected(Reason.NOT_AVRO, ("the message does not begin with 0 and a schema id",))
        name = self._names.get(schema_id)
        if name is None:
            raise Rejected(Reason.UNKNOWN_SCHEMA_ID, (f"the registry has no schema {schema_id}",))
        if name not in NAMES:
            raise Rejected(Reason.WRONG_RECORD, (f"{name} is not a record of cityops",))
        writer, reader = self._writers[schema_id], parsed_schema(name)
        body = BytesIO(value)
        body.seek(HEADER_BYTES)
        try:
            fields = fastavro.schemaless_reader(body, writer, None if schema_id in self._ours else reader)
        except EOFError as error:  # its text names the object that was read from, by its address
            raise Rejected(Reason.NOT_AVRO, (f"not a {name}: the message ends too early",)) from error
        except Exception as error:  # fastavro raises whatever the bytes led it to
            raise Rejected(Reason.NOT_AVRO, (f"not a {name}: {type(error).__name__}: {error}"[:200],)) from error
        if body.tell() != len(value):
            raise Rejected(Reason.NOT_AVRO, (f"not a {name}: {len(value) - body.tell()} bytes left over",))
        return name, dict(fields)

    def read(self, value: bytes, kind: type[T]) -> T:
        """Decode a message that our own programs wrote into its typed record."""
        name, fields = self.decode(value)
        if name != kind.__name__:
            raise Rejected(Reason.WRONG_RECORD, (f"expected {kind.__name__}, found {name}",))
        return msgspec.convert(fields, kind, builtin_types=(bytes,))


def local_codec() -> Codec:
    """Return a codec with ids of its own, for pure tests and benchmarks: no registry."""
    ids = {name: number for number, name in enumerate(NAMES, start=1)}
    return Codec(ids, {number: schema_text(name) for name, number in ids.items()})


def _from_numpy(value: Any) -> Any:
    """Return a value of numpy as one of Python."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"no field of a record holds a {type(value).__name__}")


def _parse(text: str) -> dict[str, Any]:
    plain = _without_logical_types(json.loads(text))
    parsed = fastavro.parse_schema(plain, named_schemas={})
    assert isinstance(parsed, dict)
    return parsed


def _without_logical_types(schema: Any) -> Any:
    """Times stay epoch milliseconds: fastavro would build datetimes, which only cost here."""
    if isinstance(schema, dict):
        return {key: _without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [_without_logical_types(item) for item in schema]
    return schema
