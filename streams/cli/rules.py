"""cityops rules: check and try what a city's rule files say, and the schema that editors complete them by."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from streams.cli.showing import json_text
from streams.cli.terminal import terminal
from streams.settings import settings_from_env

if TYPE_CHECKING:
    from processors.city import City


@click.group()
def rules() -> None:
    """The rules by which observations become incidents.

    \b
    Example:
      cityops rules check cities/hanoi/rules
    """


@rules.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def check(folder: Path | None, as_json: bool) -> None:
    """List every mistake in the rules of FOLDER with file, line and a hint; without any, say what they conclude.

    FOLDER holds rule files, or is a city package with a folder of them; without it, the configured rules are checked.
    Units, zones and calendars are looked up in the city around it, or the configured one. Exit status 1 if there
    are mistakes.

    \b
    Example:
      cityops rules check cities/hanoi/rules
    """
    from processors.incidents.rules import RulesInvalid, load_rules

    found, city = _folder_and_city(folder)
    try:
        loaded = load_rules(found, city)
    except RulesInvalid as error:
        mistakes = error.mistakes or (str(error),)
        click.echo(json_text({"mistakes": mistakes}) if as_json else str(error))
        sys.exit(1)
    if as_json:
        summary = [{"id": one.id, "kind": one.kind, "title": one.name, "by": one.by} for one in loaded.rules]
        click.echo(json_text({"mistakes": [], "version": loaded.version, "rules": summary}))
        return
    table = Table("rule", "title", "by", "evidence", "mutes", box=None, pad_edge=False)
    for one in loaded.rules:
        muted = sorted({name for mute in one.mutes for name in mute.rules})
        table.add_row(one.id, one.name, one.by, ", ".join(one.evidence), ", ".join(muted))
    terminal().print(table)
    click.echo(f"{len(loaded.rules)} rules without a mistake, version {loaded.version}")


@rules.command()
def schema() -> None:
    """Print the JSON Schema of a rule file.

    \b
    Example:
      cityops rules schema > docs/schemas/rule.schema.json
    """
    from processors.incidents.rule_schema import rule_schema

    click.echo(json_text(rule_schema()))


@rules.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def test(folder: Path | None, as_json: bool) -> None:
    """Run the cases beside the rules of FOLDER: given these claims, then these incidents.

    FOLDER is as for `rules check`; the cases of a rule are in its folder `cases`, in a file of the rule's id. Says of
    each that fails the file, the line and what was found instead. Exit status 1 if any does.

    \b
    Example:
      cityops rules test cities/hanoi/rules
    """
    from processors.incidents.rules import load_rules
    from processors.rule_case_runs import run_cases
    from processors.rule_cases import load_cases, without_cases

    found, city = _folder_and_city(folder)
    loaded = load_rules(found, city)
    files = load_cases(found, loaded, city)
    results = list(run_cases(files, loaded, city))
    failed = [one for one in results if one.failures]
    untold = without_cases(loaded, files)
    if as_json:
        click.echo(json_text({"cases": results, "failed": len(failed), "rules_without_cases": untold}))
        sys.exit(1 if failed else 0)
    console = terminal(highlight=False)
    for one in failed:
        console.print(Text.assemble((f"{one.file}:{one.line} ", "bold"), f"{one.rule_id}: {one.case}"), soft_wrap=True)
        for failure in one.failures:
            console.print(Text(f"  {one.file}:{failure.line} {failure.message}", style="red"), soft_wrap=True)
    if untold:
        console.print(Text(f"without cases: {', '.join(untold)}", style="yellow"))
    passed = len(results) - len(failed)
    console.print(Text(f"{passed} of {len(results)} cases pass", style="red" if failed else "green"))
    sys.exit(1 if failed else 0)


def _folder_and_city(folder: Path | None) -> "tuple[Path, City]":
    """Return the folder of the rules meant, and the city around it, or the configured one."""
    from processors.city import load_city

    settings = settings_from_env()
    found = folder or settings.rules or settings.city / "rules"
    found = found / "rules" if (found / "rules").is_dir() else found
    around = found.resolve().parent
    return found, load_city(around if (around / "city.yaml").is_file() else settings.city)
