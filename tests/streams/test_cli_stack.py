import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from schemas.errors import UsageError
from streams import topics
from streams.cli.stack import stack as stack_commands
from streams.cli.topics import topics as topic_commands
from streams.settings import Settings
from streams.stack.bars import shown_on
from streams.stack.downloads import Step
from streams.topics import CATALOGUE

NO_SERVERS = {"KAFKA_BOOTSTRAP_SERVERS": "", "SCHEMA_REGISTRY_URL": "", "CLICKHOUSE_URL": "", "CITYOPS_RUN": ""}


def invoke(group: Any, *arguments: str, home: Path, run: str = "") -> Result:
    env = NO_SERVERS | {"CITYOPS_HOME": str(home), "CITYOPS_RUN": run}
    return CliRunner().invoke(group, arguments, env=env, standalone_mode=False)


@pytest.mark.parametrize("group", [stack_commands, topic_commands])
def test_every_command_shows_an_example(group: Any) -> None:
    for command in group.commands.values():
        assert "\b\n" in command.help
        assert "cityops " in command.help


def test_status_of_an_empty_home_is_down(tmp_path: Path) -> None:
    result = invoke(stack_commands, "status", "--json", home=tmp_path)
    assert result.exception is not None
    assert json.loads(result.stdout)[0]["phase"] == "down"


def test_commands_without_a_server_say_what_to_do(tmp_path: Path) -> None:
    for group, command in ((stack_commands, "env"), (topic_commands, "create"), (topic_commands, "describe")):
        result = invoke(group, command, home=tmp_path)
        assert isinstance(result.exception, UsageError)
        assert "cityops stack up" in str(result.exception)


def test_catalogue_is_listed_without_a_server(tmp_path: Path) -> None:
    listed = json.loads(invoke(topic_commands, "list", "--json", home=tmp_path).stdout)
    assert [topic["name"] for topic in listed] == [topic.name for topic in CATALOGUE]
    assert "vehicle.positions.v1" in invoke(topic_commands, "list", home=tmp_path).stdout


def test_present_schemas_pass_the_check(tmp_path: Path) -> None:
    result = invoke(topic_commands, "check-schemas", "--json", home=tmp_path)
    assert all(verdict["problems"] == [] for verdict in json.loads(result.stdout))


def test_downloads_and_parts_are_shown(tmp_path: Path) -> None:
    console = Console(record=True, width=100, force_terminal=True, file=(tmp_path / "out").open("w"))
    with shown_on(console) as on_progress:
        on_progress(Step("registry.tar.gz", 500_000, 1_000_000))
        on_progress(Step("registry.tar.gz", 1_000_000, 1_000_000))
        on_progress(Step("kafka is ready"))
    console.file.close()
    assert "kafka is ready" in (tmp_path / "out").read_text(encoding="utf-8")
    with shown_on(None) as silent:
        silent(Step("kafka is ready"))


@pytest.mark.stack
def test_env_prints_what_a_shell_can_evaluate(stack: Settings) -> None:
    lines = invoke(stack_commands, "env", home=stack.home).stdout.splitlines()
    assert lines[0] == f"export KAFKA_BOOTSTRAP_SERVERS='{stack.kafka_bootstrap_servers}'"
    assert lines[1] == f"export SCHEMA_REGISTRY_URL='{stack.schema_registry_url}'"
    assert lines[2] == f"export CLICKHOUSE_URL='{stack.clickhouse_url}'"
    assert all(line.startswith("# ") for line in lines[3:])


@pytest.mark.stack
def test_status_tells_every_part(stack: Settings) -> None:
    parts = json.loads(invoke(stack_commands, "status", "--json", home=stack.home).stdout)
    assert [part["name"] for part in parts] == ["supervisor", "clickhouse", "kafka", "registry"]
    assert [part["ready"] for part in parts[:3]] == [True, True, True]
    assert all(part["uptime_s"] > 0 and part["restarts"] == 0 for part in parts[:3])


@pytest.mark.stack
def test_topics_are_created_and_described(stack: Settings) -> None:
    created = json.loads(invoke(topic_commands, "create", "--json", home=stack.home, run="cli-test").stdout)
    assert len(created["created"]) == len(CATALOGUE)
    told = json.loads(invoke(topic_commands, "describe", "rows.v1", "--json", home=stack.home, run="cli-test").stdout)
    assert told[0]["name"] == "run.cli-test.rows.v1"
    assert told[0]["settings"]["max.message.bytes"] == str(topics.ROWS.max_message_bytes)
    assert [span["end"] for span in told[0]["spans"]] == [0, 0, 0, 0]
    assert "run.cli-test.rows.v1" in invoke(topic_commands, "describe", home=stack.home, run="cli-test").stdout
