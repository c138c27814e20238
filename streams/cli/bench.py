"""The command bench."""

from importlib.util import find_spec
from pathlib import Path

import click

from schemas.errors import UsageError
from streams.cli import bench_engine, bench_rules
from streams.cli.checkout import from_checkout
from streams.cli.options import NEW_FILE
from streams.cli.terminal import terminal
from streams.settings import settings_from_env

ROUNDS = 3
QUICK_ROUNDS = 1


@click.group(invoke_without_command=True)
@click.option("--quick", is_flag=True, help="Fewer positions and one round: under three minutes.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds; the variants take turns in each. Default 3.")
@click.option(
    "--only", multiple=True, metavar="VARIANT", help="Measure this variant alone; may be given several times."
)
@click.option("--json", "json_path", type=NEW_FILE, metavar="FILE", help="Write the result as JSON.")
@click.option("--png", "png_path", type=NEW_FILE, metavar="FILE", help="Write the result as a picture.")
@click.pass_context
def bench(
    ctx: click.Context,
    *,
    quick: bool,
    rounds: int | None,
    only: tuple[str, ...],
    json_path: Path | None,
    png_path: Path | None,
) -> None:
    """Measure cityops beside other ways to do the same, on the real Kafka of this machine.

    Every variant reads the same positions; its answer is checked before its rate is shown. Peers that are not
    installed are left out: pip install -e '.[bench]' brings them. Needs a checkout. docs/performance.md says more.
    The commands below measure the whole engine.

    \b
    Example:
      cityops bench --quick --json bench.json
    """
    if ctx.invoked_subcommand is not None:
        return
    command = from_checkout("command")
    if png_path is not None and find_spec("matplotlib") is None:
        raise UsageError("--png needs matplotlib: pip install -e '.[bench]'")
    wanted = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    report = command.bench(settings_from_env(), terminal(stderr=True), quick=quick, rounds=wanted, only=only)
    command.show(report, terminal())
    if json_path is not None:
        command.write_json(report, json_path)
    if png_path is not None:
        from_checkout("plot").draw(report, png_path)


for _one in ("latency", "growth", "soak", "burst", "memory", "profile"):
    bench.add_command(getattr(bench_engine, _one))
bench.add_command(bench_rules.rules)
