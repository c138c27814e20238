"""The command bench rules: what an observation costs the rules."""

from pathlib import Path

import click

from streams.cli.checkout import from_checkout
from streams.cli.options import NEW_FILE, Seconds
from streams.cli.terminal import terminal
from streams.session import city_of
from streams.settings import settings_from_env


@click.command()
@click.option("--for", "seconds", type=Seconds(), default="10m", show_default=True, help="Event time of the load.")
@click.option(
    "--rate",
    type=click.FloatRange(1),
    default=200.0,
    show_default=True,
    metavar="N",
    help="Observations a second of it.",
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="The sets take turns in each.")
@click.option("--json", "json_path", type=NEW_FILE, metavar="FILE", help="Write the result as JSON.")
def rules(*, seconds: float, rate: float, rounds: int, json_path: Path | None) -> None:
    """Measure what an observation costs with 10 rules, the city's own and 200.

    The same observations for all; the incidents of the ten must be the same under each. Needs no servers.

    \b
    Example:
      cityops bench rules --for 2m --rounds 1
    """
    table = from_checkout("rules_table")
    settings = settings_from_env()
    city = city_of(settings)
    result = table.measured(
        terminal(stderr=True), city, settings.rules or settings.city / "rules", int(seconds), rate, rounds
    )
    table.show(result, terminal())
    if json_path is not None:
        table.write_json(result, json_path)
