"""The house keeps its shape: imports point one way, processors are pure, only the report reads the truth."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
ORDER = ["schemas", "processors", "sinks", "streams"]
IMPURE = {"time", "socket", "os", "random", "asyncio", "threading", "subprocess", "faust", "urllib", "httpx"}
MAY_NAME_THE_TRUTH = {
    "streams/topics.py", "streams/feed.py", "streams/report.py", "streams/demo.py", "streams/backtesting.py",
}  # fmt: skip


def modules(package: str) -> list[Path]:
    return sorted((PROJECT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_one_way(package: str) -> None:
    later = set(ORDER[ORDER.index(package) + 1 :]) | {"faust_app"}
    wrong = {str(path.relative_to(PROJECT)): imported(path) & later for path in modules(package)}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_processors_are_pure() -> None:
    wrong = {str(path.relative_to(PROJECT)): imported(path) & IMPURE for path in modules("processors")}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_processors_read_no_clock() -> None:
    clocks = ("datetime.now(", "datetime.utcnow(", "date.today(", "default_rng()")
    found = [
        f"{path.relative_to(PROJECT)}: {clock}"
        for path in modules("processors")
        for clock in clocks
        if clock in path.read_text(encoding="utf-8")
    ]
    assert found == []


def test_only_the_report_reads_the_truth() -> None:
    named = {
        str(path.relative_to(PROJECT))
        for path in modules("streams")
        if "topics.TRUTH" in path.read_text(encoding="utf-8") or "truth.v1" in path.read_text(encoding="utf-8")
    }
    assert named <= MAY_NAME_THE_TRUTH


def test_every_topic_is_ticked_or_not_and_divides_the_shards() -> None:
    from schemas.ids import SHARDS
    from streams.topics import CATALOGUE, INPUTS, OF_DEVICES

    assert all(SHARDS % topic.partitions == 0 for topic in CATALOGUE)
    assert {topic.name for topic in INPUTS} == {topic.name for topic in CATALOGUE if topic.ticked}
    assert len({topic.partitions for topic in OF_DEVICES}) == 1
    assert len({topic.name for topic in CATALOGUE}) == len(CATALOGUE)


def test_the_command_line_has_help_with_an_example_everywhere() -> None:
    import click

    from streams.cli import COMMANDS, cli

    def walk(command: click.Command, path: str) -> list[str]:
        ctx = click.Context(command)
        names = command.list_commands(ctx) if isinstance(command, click.Group) else []
        under = [command.get_command(ctx, name) for name in names] if isinstance(command, click.Group) else []
        bare = [one for name, sub in zip(names, under, strict=True) if sub for one in walk(sub, f"{path} {name}")]
        shown = isinstance(command, click.Group) and not command.invoke_without_command
        return bare if shown or "cityops " in (command.help or "") else [*bare, path]

    assert set(COMMANDS) == set(cli.list_commands(click.Context(cli)))
    assert walk(cli, "cityops") == []
