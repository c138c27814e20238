"""Whether every schema can still read what the last released version wrote.

`schemas/avsc/released/` holds the schemas of the last release; the `avro` package parses and judges.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException

from schemas.codec import SCHEMA_FOLDER

RELEASED_FOLDER: Final = SCHEMA_FOLDER / "released"


@dataclass(frozen=True, slots=True)
class SchemaVerdict:
    """What was found of one record; no problems = it may be released. `released` is False for a new record."""

    record: str
    released: bool
    problems: tuple[str, ...]


def check_schemas(present: Path = SCHEMA_FOLDER, released: Path = RELEASED_FOLDER) -> tuple[SchemaVerdict, ...]:
    """Judge every record of both folders, in the order of their names."""
    now = {path.stem: path.read_text(encoding="utf-8") for path in present.glob("*.avsc")}
    before = {path.stem: path.read_text(encoding="utf-8") for path in released.glob("*.avsc")}
    return tuple(
        SchemaVerdict(record, record in before, _problems(now.get(record), before.get(record)))
        for record in sorted(now | before)
    )


def incompatibilities(reader: str, writer: str) -> tuple[str, ...]:
    """Return why data written with schema `writer` could not be read with schema `reader`; empty = it can.

    Raises avro.errors.AvroException when either is no schema.
    """
    result = ReaderWriterCompatibilityChecker().get_compatibility(avro.schema.parse(reader), avro.schema.parse(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return ()
    kinds = ", ".join(sorted(kind.value for kind in result.incompatibilities))
    places = ", ".join(f"at {place}" for place in sorted(result.locations) if place != "/")
    return (f"{kinds}: {'; '.join(sorted(result.messages))} {places}".strip(),)


def _problems(now: str | None, before: str | None) -> tuple[str, ...]:
    if now is None:
        return ("it was released and is gone",)
    try:
        avro.schema.parse(now)
        return incompatibilities(now, before) if before is not None else ()
    except (AvroException, json.JSONDecodeError) as error:
        return (f"it is no Avro schema: {error}",)
