"""cityops rules: check and try what a city's rule files say, and the schema that editors complete them by."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click
from rich.table import Table
from rich.text import Text

from schemas.errors import UsageError
from streams.cli.evaluate import seed_list
from streams.cli.options import FOLDER, MOMENT, SECONDS
from streams.cli.showing import city_zone, codec_of, json_text, local_time, run_city, settings_of
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
@click.option("--only", default="", metavar="RULE", help="Only the cases of this rule.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def test(folder: Path | None, only: str, as_json: bool) -> None:
    """Run the cases beside the rules of FOLDER: given these claims, then these incidents.

    FOLDER is as for `rules check`; the cases of a rule are in its folder `cases`, in a file of the rule's id. Says of
    each that fails the file, the line and what was found instead. Exit status 1 if any does.

    \b
    Example:
      cityops rules test cities/hanoi/rules
      cityops rules test --only crash
    """
    from processors.incidents.rules import load_rules
    from processors.rule_case_runs import run_cases
    from processors.rule_cases import load_cases, without_cases

    found, city = _folder_and_city(folder)
    loaded = load_rules(found, city)
    files = [one for one in load_cases(found, loaded, city) if only in ("", one.rule_id)]
    if only and not files:
        raise UsageError(f"{found / 'cases'} holds no cases of a rule {only}")
    results = list(run_cases(files, loaded, city))
    failed = [one for one in results if one.failures]
    untold = () if only else without_cases(loaded, files)
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


@rules.command()
@click.argument("incident_id", metavar="INCIDENT")
@click.option("--revision", type=click.IntRange(1), help="One revision; without it the last, and what made the others.")
@click.option("--rules", "folder", type=FOLDER, help="The rules that made it, where they are not the configured ones.")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Print every revision with all its claims as JSON.")
def explain(incident_id: str, revision: int | None, folder: Path | None, run_name: str, as_json: bool) -> None:
    """Show what INCIDENT was made of: every observation with distance, age and weight, and the story it told.

    The beginning of its id is enough. Withdrawn and late observations are among them, and those that belonged to it
    without being evidence. What is listed makes the same revision again, under the same rules.

    \b
    Example:
      cityops rules explain i-0011223344556677 --revision 2
    """
    from processors.incidents.rules import load_rules
    from streams.cli.incidents import named_incident, read_incidents
    from streams.cli.rule_views import claims_table, revisions_table, stories_table
    from streams.explaining import explain_incident

    settings = settings_of(run_name)
    codec, city = codec_of(settings), run_city(settings)
    loaded = load_rules(folder or settings.rules or settings.city / "rules")
    found = explain_incident(
        settings, codec, city, loaded, named_incident(read_incidents(settings, codec), incident_id)
    )
    if revision is not None and revision > len(found):
        raise UsageError(f"it has {len(found)} revisions, no revision {revision}")
    shown = found if revision is None else found[revision - 1 : revision]
    if as_json:
        click.echo(json_text(shown))
        return
    console, zone, last = terminal(), ZoneInfo(city.time_zone), shown[-1]
    incident = last.change.incident
    console.print(f"{incident.incident_id}, rule {incident.rule_id} of {incident.rules_version}", style="bold")
    console.print(revisions_table(shown, zone))
    console.print(f"revision {incident.revision} is made of", style="bold")
    if last.stories:
        console.print(stories_table(last))
    console.print(claims_table(last, zone))


@rules.command()
@click.option("--rules", "folder", required=True, type=FOLDER, help="The other rules.")
@click.option("--from", "from_ms", type=MOMENT, help="Beginning of a span of the log; without it where the log begins.")
@click.option("--until", "to_ms", type=MOMENT, help="End of the span; without it the end of the log.")
@click.option("--seeds", default="", callback=seed_list, help="Simulate these seeds instead of reading the log.")
@click.option("--for", "for_s", default="2h", show_default=True, type=SECONDS, help="Event time of each seed.")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def backtest(
    folder: Path,
    from_ms: int | None,
    to_ms: int | None,
    seeds: tuple[int, ...],
    for_s: float,
    run_name: str,
    as_json: bool,
) -> None:
    """Hold other rules against the live ones: detected, false and time to detect, kind by kind.

    Over the observations of a run, which no rule has a say in: against the truth where the span has it (a demo's), or
    else against the incidents of the live rules. Or over simulated days, with --seeds.

    \b
    Example:
      cityops rules backtest --rules my-rules --from 2026-11-22T18:00 --until 2026-11-22T20:00
      cityops rules backtest --rules my-rules --seeds 11,12 --for 4h
    """
    from processors.evaluation.backtest import compare_evaluations
    from processors.incidents.rules import load_rules
    from streams.backtesting import backtest_span
    from streams.cli.rule_views import comparison_table
    from streams.evaluation import EvaluationOptions, evaluate_rules

    if seeds and (from_ms is not None or to_ms is not None):
        raise UsageError("--seeds simulates, --from and --until read the log: give one or the other")
    if seeds:
        settings = settings_from_env()
        both = {"live": settings.rules or settings.city / "rules", "other": folder}
        options = EvaluationOptions(seeds, for_s / 3600, (), (1.0,), 4.0, 200, 1_000)
        made = evaluate_rules(settings, both, options, terminal(stderr=True))
        against, kinds = "truth", compare_evaluations(made["live"][0], made["other"][0])
    else:
        settings = settings_of(run_name)
        city = run_city(settings)
        live, other = load_rules(settings.rules or settings.city / "rules", city), load_rules(folder, city)
        found = backtest_span(settings, codec_of(settings), city, (live, other), from_ms, to_ms)
        against, kinds = found.against, found.kinds
    if as_json:
        click.echo(json_text({"against": against, "kinds": kinds}))
        return
    terminal(highlight=False).print(comparison_table(kinds, against))


@rules.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--from", "from_ms", type=MOMENT, help="Event time it is valid from; without it 5 s from now.")
@click.option("--operator", default=None, metavar="NAME", help="Who publishes it; without it the login name.")
@click.option("--note", default="", help="Why, for those who ask later.")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def publish(
    folder: Path | None, from_ms: int | None, operator: str | None, note: str, run_name: str, as_json: bool
) -> None:
    """Put the rules of FOLDER in force, without a restart, from one moment of event time on.

    FOLDER is as for `rules check`, which comes first: a set with a mistake is not published. What is published never
    changes; to go back, publish the rules of before again.

    \b
    Example:
      cityops rules publish cities/hanoi/rules
      cityops rules publish my-rules --from 2026-11-22T18:00 --note "the evening of the final"
    """
    from processors.incidents.rule_versions import in_force
    from processors.incidents.rules import load_rules, read_rule_files, rules_of
    from processors.publications import publication
    from streams.actions import decision_ms
    from streams.cli.incidents import login_name
    from streams.rule_sets import LEAD_MS, differences, read_published, send_publication

    found, city = _folder_and_city(folder)
    files = read_rule_files(found)
    after = rules_of(files, city, str(found))
    settings = settings_of(run_name)
    codec, zone = codec_of(settings), ZoneInfo(city.time_zone)
    now_ms = decision_ms(settings, codec)
    from_ms = now_ms + LEAD_MS if from_ms is None else from_ms
    if from_ms < now_ms:
        raise UsageError(f"{local_time(from_ms, zone)} is over: rules are valid from a time to come, or without --from")
    one = publication(files, login_name() if operator is None else operator, note, now_ms, from_ms)
    held = in_force(read_published(settings, codec), from_ms)
    before = load_rules(settings.rules or settings.city / "rules") if held is None else rules_of(held.files)
    send_publication(settings, codec, one)
    changes = differences(before, after)
    if as_json:
        click.echo(json_text({"version": one.version, "valid_from_ms": from_ms, **asdict(changes)}))
        return
    click.echo(f"published {one.version}, {len(after.rules)} rules, valid from {local_time(from_ms, zone)} on")
    for what, names in asdict(changes).items():
        if names:
            ends = "; their incidents are closed then" if what == "gone" else ""
            click.echo(f"{what}: {', '.join(names)}{ends}")


@rules.command()
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def versions(run_name: str, as_json: bool) -> None:
    """List the rule sets there are: since when each is valid, who published it when, and which one is in force.

    The first is the city's folder, in force until a set was published.

    \b
    Example:
      cityops rules versions
    """
    from processors.incidents.rules import load_rules
    from streams.actions import decision_ms
    from streams.cli.rule_views import versions_table
    from streams.rule_sets import read_published, versions_of

    settings = settings_of(run_name)
    codec = codec_of(settings)
    loaded = load_rules(settings.rules or settings.city / "rules")
    found = versions_of(loaded, read_published(settings, codec), decision_ms(settings, codec))
    if as_json:
        click.echo(json_text(found))
        return
    terminal(highlight=False).print(versions_table(found, city_zone(settings)))


def _folder_and_city(folder: Path | None) -> "tuple[Path, City]":
    """Return the folder of the rules meant, and the city around it, or the configured one."""
    from processors.city import load_city

    settings = settings_from_env()
    found = folder or settings.rules or settings.city / "rules"
    found = found / "rules" if (found / "rules").is_dir() else found
    around = found.resolve().parent
    return found, load_city(around if (around / "city.yaml").is_file() else settings.city)
