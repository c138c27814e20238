"""cityops rules: check what a city's rule files say, and the schema that editors complete them by."""

import sys
from pathlib import Path

import click
from rich.table import Table

from streams.cli.showing import json_text
from streams.cli.terminal import terminal
from streams.settings import settings_from_env


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
    from processors.city import load_city
    from processors.incidents.rules import RulesInvalid, load_rules

    settings = settings_from_env()
    found = folder or settings.rules or settings.city / "rules"
    found = found / "rules" if (found / "rules").is_dir() else found
    around = found.resolve().parent
    city = load_city(around if (around / "city.yaml").is_file() else settings.city)
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
