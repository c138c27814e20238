"""cityops replay: read a span again, isolated, and compare."""

from pathlib import Path

import click
import msgspec
from rich.console import Console

from streams.cli.options import FOLDER, MOMENT, SECONDS
from streams.cli.showing import codec_of, settings_of
from streams.settings import LIVE, settings_from_env


@click.group(invoke_without_command=True)
@click.option("--from", "from_ms", type=MOMENT, help="Beginning in event time; without it the beginning of the log.")
@click.option("--to", "to_ms", type=MOMENT, help="End in event time; without it the end of the log.")
@click.option("--into", default="", help="Name of the replay.")
@click.option("--source", default=LIVE, show_default=True, help="The run whose log is read.")
@click.option("--warm-up", default="40m", show_default=True, type=SECONDS, help="How much before --from is read too.")
@click.option("--rules", type=FOLDER, help="Replay with other rules.")
@click.option("--json", "as_json", is_flag=True, help="Print the span that was replayed as JSON.")
@click.pass_context
def replay(
    ctx: click.Context,
    from_ms: int | None,
    to_ms: int | None,
    into: str,
    source: str,
    warm_up: float,
    rules: Path | None,
    as_json: bool,
) -> None:
    """Read a span of the log again into a run of its own: other topics, checkpoints, database; nothing live changes.

    \b
    Examples:
      cityops replay --from 2026-11-22T18:00 --to 2026-11-22T18:30 --into check
      cityops replay diff live check --json
    """
    if ctx.invoked_subcommand is not None:
        return
    from streams.replay import ReplayOptions, run_replay

    settings = settings_from_env()
    if source != LIVE:
        settings = settings.with_run(source, source)
    console = Console(stderr=True)
    span = run_replay(settings, ReplayOptions(from_ms, to_ms, into, warm_up, rules), console)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(span)).decode())
        return
    click.echo(f"replayed {sum(part.end - part.begin for part in span.parts):,} records into {into}")


@replay.command()
@click.argument("run_a")
@click.argument("run_b")
@click.option("--from", "from_ms", type=MOMENT, help="Beginning; without it that of the replay's span.")
@click.option("--to", "to_ms", type=MOMENT, help="End; without it that of the replay's span.")
@click.option("--json", "as_json", is_flag=True, help="Print {added, lost, changed} as JSON.")
def diff(run_a: str, run_b: str, from_ms: int | None, to_ms: int | None, as_json: bool) -> None:
    """Compare the incidents of two runs; `live` is the live one.

    \b
    Example:
      cityops replay diff live check --json
    """
    from streams.diff import diff_runs, render_diff
    from streams.span import load_span

    settings = settings_of("")
    names = ["" if name == LIVE else name for name in (run_a, run_b)]
    spans = [span for span in (load_span(settings.home, name) for name in names) if span is not None]
    begin = from_ms if from_ms is not None else max((span.from_ms for span in spans), default=0)
    end = to_ms if to_ms is not None else min((span.to_ms for span in spans), default=2**62)
    found = diff_runs(settings, names[0], names[1], begin, end, codec_of(settings))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        Console().print(render_diff(found))
