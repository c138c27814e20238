"""The JSON Schema of a rule file, for editors: docs/schemas/rule.schema.json, `cityops rules schema`."""

from typing import Any, Final

from processors.incidents.rule_model import Rule

SCHEMA_ID: Final = "urn:cityops:rule:v1"


def rule_schema() -> dict[str, Any]:
    """Return the schema. What keys say of each other is checked by `cityops rules check` alone."""
    schema = Rule.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
