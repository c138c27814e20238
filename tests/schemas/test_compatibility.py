import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import NAMES, schema_text
from schemas.compatibility import check_schemas, incompatibilities


def changed(change: Callable[[list[dict[str, Any]]], object]) -> str:
    schema = json.loads(schema_text("SensorReading"))
    change(schema["fields"])
    return json.dumps(schema)


def field(fields: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(one for one in fields if one["name"] == name)


def test_present_schemas_can_read_the_last_release() -> None:
    verdicts = check_schemas()
    assert {verdict.record for verdict in verdicts} >= set(NAMES)
    assert [verdict for verdict in verdicts if verdict.problems] == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda fields: fields.append({"name": "floor", "type": "int"}), "reader_field_missing_default_value: floor"),
        (lambda fields: field(fields, "value").update(type="string"), "type_mismatch: reader type: string"),
        (lambda fields: field(fields, "at_ms").update(name="time_ms"), "reader_field_missing_default_value: time_ms"),
        (lambda fields: field(fields, "value").update(type="float"), "type_mismatch: reader type: float"),
    ],
)
def test_incompatible_change_is_refused(change: Callable[[list[dict[str, Any]]], object], why: str) -> None:
    (problem,) = incompatibilities(changed(change), schema_text("SensorReading"))
    assert problem.startswith(why)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.append({"name": "floor", "type": "int", "default": 0}),
        lambda fields: fields.remove(field(fields, "host_camera_id")),
        lambda fields: field(fields, "value").update(doc="Another word for it."),
    ],
)
def test_compatible_change_is_accepted(change: Callable[[list[dict[str, Any]]], object]) -> None:
    assert incompatibilities(changed(change), schema_text("SensorReading")) == ()


def test_check_names_every_record_that_changed_for_the_worse(tmp_path: Path) -> None:
    present, released = tmp_path / "present", tmp_path / "released"
    for folder in (present, released):
        folder.mkdir()
        for record in ("Tick", "SensorReading"):
            (folder / f"{record}.avsc").write_text(schema_text(record), encoding="utf-8")
    (present / "SensorReading.avsc").write_text(
        changed(lambda fields: fields.append({"name": "floor", "type": "int"})), encoding="utf-8"
    )
    (present / "Tick.avsc").unlink()
    (present / "Fresh.avsc").write_text(schema_text("Heartbeat"), encoding="utf-8")
    (present / "Broken.avsc").write_text('{"type": "recor"}', encoding="utf-8")

    verdicts = {verdict.record: verdict for verdict in check_schemas(present, released)}
    assert verdicts["Tick"].problems == ("it was released and is gone",)
    assert "floor" in verdicts["SensorReading"].problems[0]
    assert verdicts["Fresh"] == type(verdicts["Fresh"])("Fresh", released=False, problems=())
    assert verdicts["Broken"].problems[0].startswith("it is no Avro schema")
