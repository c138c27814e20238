import json
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import Schema
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas.codec import schema_text
from schemas.errors import Retryable, UsageError
from schemas.records import Tick
from streams import registry
from streams.settings import Settings
from streams.topics import CATALOGUE

NOBODY = "http://127.0.0.1:1/apis/ccompat/v7"


def test_subjects_name_topic_and_record() -> None:
    subjects = registry.subjects()
    assert subjects["vehicle.positions.v1-cityops.VehiclePosition"] == ("vehicle.positions.v1", "VehiclePosition")
    assert subjects["vehicle.positions.v1-cityops.Tick"] == ("vehicle.positions.v1", "Tick")
    assert len(subjects) == sum(len(topic.records) for topic in CATALOGUE)


def test_registry_that_is_not_there_is_worth_a_retry(stackless: Settings) -> None:
    nobody = replace(stackless, schema_registry_url=NOBODY)
    with pytest.raises(Retryable, match="no schema registry answers"):
        registry.fetch_schema(nobody, 1)
    with pytest.raises(UsageError, match=r"no schema registry answers.*SCHEMA_REGISTRY_URL"):
        registry.load_codec(nobody, wait_s=0)


def test_registry_that_is_not_set_is_a_usage_error(stackless: Settings) -> None:
    with pytest.raises(UsageError, match="no schema registry is set"):
        registry.load_codec(stackless)


@pytest.mark.stack
def test_registering_twice_gives_the_same_ids(stack_with_registry: Settings) -> None:
    first = registry.register_all(stack_with_registry)
    assert registry.register_all(stack_with_registry) == first
    assert first.current()
    for record, number in first.ids.items():
        text = registry.fetch_schema(stack_with_registry, number)
        assert text is not None
        assert json.loads(text) == json.loads(schema_text(record))


@pytest.mark.stack
def test_unknown_id_is_none(stack_with_registry: Settings) -> None:
    assert registry.fetch_schema(stack_with_registry, 123_456) is None


@pytest.mark.stack
def test_every_subject_enforces_backward_transitive(stack_with_registry: Settings) -> None:
    registry.register_all(stack_with_registry)
    client = registry.client_of(stack_with_registry.schema_registry_url)
    assert {client.get_compatibility(subject) for subject in registry.subjects()} == {"BACKWARD_TRANSITIVE"}


@pytest.mark.stack
def test_incompatible_change_is_refused_with_409(stack_with_registry: Settings) -> None:
    client = registry.client_of(stack_with_registry.schema_registry_url)
    subject = f"of-this-test-{uuid.uuid4().hex}-cityops.Tick"
    client.register_schema(subject, Schema(schema_text("Tick"), "AVRO"))
    client.set_compatibility(subject, registry.COMPATIBILITY)
    changed = json.loads(schema_text("Tick"))
    changed["fields"].append({"name": "leap_s", "type": "int"})
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(subject, Schema(json.dumps(changed), "AVRO"))
    assert refused.value.http_status_code == 409
    changed["fields"][-1]["default"] = 0
    client.register_schema(subject, Schema(json.dumps(changed), "AVRO"))


@pytest.mark.stack
def test_codec_starts_on_kept_ids_while_the_registry_is_away(stack_with_registry: Settings, tmp_path: Path) -> None:
    here = replace(stack_with_registry, home=tmp_path)
    codec = registry.load_codec(here)
    (kept,) = (tmp_path / "stack").glob("schema-ids-*.json")
    away = replace(here, schema_registry_url=NOBODY)
    kept.rename(registry.kept_path(away))

    alone = registry.load_codec(away, wait_s=0)
    assert alone.read(codec.encode(Tick(at_ms=250)), Tick) == Tick(at_ms=250)


@pytest.mark.stack
def test_kept_ids_of_other_schemas_are_not_used(stack_with_registry: Settings, tmp_path: Path) -> None:
    here = replace(stack_with_registry, home=tmp_path)
    registry.load_codec(here)
    (kept,) = (tmp_path / "stack").glob("schema-ids-*.json")
    away = replace(here, schema_registry_url=NOBODY)
    registry.kept_path(away).write_text(kept.read_text(encoding="utf-8").replace("at_ms", "at_s"), encoding="utf-8")
    with pytest.raises(UsageError, match="no schema registry answers"):
        registry.load_codec(away, wait_s=0)
