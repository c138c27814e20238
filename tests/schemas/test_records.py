"""The dataclasses and the Avro files say the same."""

import dataclasses
import json
import types
import typing
from enum import StrEnum
from typing import Any

import pytest

from schemas import records
from schemas.codec import NAMES, schema_text

PRIMITIVES = {"int": int, "long": int, "float": float, "double": float, "boolean": bool, "string": str, "bytes": bytes}
FIXED_WIDTH = {"float", "double", "boolean", "timestamp-millis", "enum"}
VARINTS = {"int", "long"}


def named_types(schema: Any) -> dict[str, dict[str, Any]]:
    """Every record and enum of a schema by its short name."""
    found: dict[str, dict[str, Any]] = {}
    if isinstance(schema, list):
        for item in schema:
            found |= named_types(item)
    elif isinstance(schema, dict):
        if schema["type"] in ("record", "enum"):
            found[schema["name"]] = schema
        for inner in [schema.get("items"), *(field["type"] for field in schema.get("fields", []))]:
            found |= named_types(inner)
        if isinstance(schema["type"], dict | list):
            found |= named_types(schema["type"])
    return found


ALL_NAMED = {name: schema for record in NAMES for name, schema in named_types(json.loads(schema_text(record))).items()}
RECORDS = sorted(name for name, schema in ALL_NAMED.items() if schema["type"] == "record")
ENUMS = sorted(name for name, schema in ALL_NAMED.items() if schema["type"] == "enum")


def python_type(schema: Any) -> Any:
    """The annotation that a schema asks for."""
    if isinstance(schema, str):
        short = schema.rpartition(".")[2]
        return PRIMITIVES.get(short) or getattr(records, short)
    if isinstance(schema, list):
        assert schema[0] == "null" or schema[-1] == "null"
        (other,) = [item for item in schema if item != "null"]
        return python_type(other) | None
    if schema["type"] == "array":
        return types.GenericAlias(tuple, (python_type(schema["items"]), ...))
    if schema["type"] in ("record", "enum"):
        return getattr(records, schema["name"])
    return python_type(schema["type"])


def plain_default(default: Any) -> Any:
    """A dataclass default as JSON says it."""
    if isinstance(default, tuple):
        return list(default)
    return default.decode("latin-1") if isinstance(default, bytes) else default


@pytest.mark.parametrize("name", RECORDS)
def test_dataclass_equals_its_schema_field_for_field(name: str) -> None:
    schema, kind = ALL_NAMED[name], getattr(records, name)
    fields = dataclasses.fields(kind)
    assert [field.name for field in fields] == [field["name"] for field in schema["fields"]]
    hints = typing.get_type_hints(kind)
    for field, declared in zip(fields, schema["fields"], strict=True):
        assert hints[field.name] == python_type(declared["type"]), field.name
        assert (field.default is not dataclasses.MISSING) == ("default" in declared), field.name
        if "default" in declared:
            assert plain_default(field.default) == declared["default"], field.name


@pytest.mark.parametrize("name", ENUMS)
def test_enum_equals_its_schema_symbol_for_symbol(name: str) -> None:
    kind: type[StrEnum] = getattr(records, name)
    assert [member.value for member in kind] == ALL_NAMED[name]["symbols"]


def test_every_dataclass_and_enum_has_a_schema() -> None:
    declared = {
        name for name, kind in vars(records).items() if isinstance(kind, type) and kind.__module__ == records.__name__
    }
    assert declared == set(ALL_NAMED)
    assert set(NAMES) <= set(RECORDS)


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_and_record_is_documented(name: str) -> None:
    schema = ALL_NAMED[name]
    assert schema["doc"]
    assert [field["name"] for field in schema["fields"] if not field.get("doc")] == []


@pytest.mark.parametrize("name", ["VehiclePosition", "CameraDetection", "SensorReading"])
def test_fixed_width_fields_come_before_strings(name: str) -> None:
    def rank(declared: Any) -> int:
        if isinstance(declared, dict):
            kind = declared.get("logicalType") or declared["type"]
        else:
            kind = "enum" if declared in ENUMS else declared
        return 0 if kind in FIXED_WIDTH else 1 if kind in VARINTS else 2

    ranks = [rank(field["type"]) for field in ALL_NAMED[name]["fields"]]
    assert ranks == sorted(ranks)
    assert {0, 2} <= set(ranks)
