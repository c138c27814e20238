"""The commands bench latency, growth, soak, burst, memory and profile: the whole engine over a load."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from streams.cli.checkout import from_checkout
from streams.cli.options import NEW_FILE, Seconds
from streams.cli.terminal import terminal
from streams.settings import settings_from_env

SHAPE = click.option(
    "--shape", type=click.Choice(["singles", "frames"]), default="singles", show_default=True,
    help="How positions are written: one a message, or columns of many.",
)  # fmt: skip
JSON = click.option("--json", "json_path", type=NEW_FILE, metavar="FILE", help="Write the result as JSON.")
PNG = click.option("--png", "png_path", type=NEW_FILE, metavar="FILE", help="Draw memory, lag and CPU over time.")
RATE = click.option(
    "--rate", type=click.FloatRange(100), metavar="N", help="Positions a second; else half of what one worker can do."
)


@click.command()
@click.option("--for", "seconds", type=Seconds(), default="9m", show_default=True, help="How long.")
@click.option("--rate", type=click.FloatRange(100), default=10_000, show_default=True, help="Positions a second.")
@click.option("--detections", type=click.FloatRange(0), default=2_000, show_default=True, help="Detections a second.")
@click.option("--vehicles", type=click.IntRange(100), default=100_000, show_default=True, help="Vehicles.")
@click.option(
    "--scenes", type=click.FloatRange(0.01), default=0.5, show_default=True, help="Crashes and fires a second."
)
@SHAPE
@JSON
def latency(
    *, seconds: float, rate: float, detections: float, vehicles: int, scenes: float, shape: str, json_path: Path | None
) -> None:
    """Measure from the append of a record to the publication of what it led to, at a steady rate.

    Times are the broker's own. A scene leads to about five publications.

    \b
    Example:
      cityops bench latency --for 2m --json latency.json
    """
    _run(
        "latency",
        json_path,
        None,
        seconds=seconds,
        rate=rate,
        detections=detections,
        vehicles=vehicles,
        scenes=scenes,
        shape=shape,
    )


@click.command()
@click.option("--for", "seconds", type=Seconds(), default="10s", show_default=True, help="Event time of each log.")
@click.option(
    "--rate", type=click.FloatRange(100), default=100_000, show_default=True, help="Positions a second of it."
)
@SHAPE
@JSON
def growth(*, seconds: float, rate: float, shape: str, json_path: Path | None) -> None:
    """Measure what a position costs with more workers, partitions and vehicles.

    1 and 2 workers; 1, 4 and 16 partitions; 1,000 to 200,000 vehicles; always as many positions.

    \b
    Example:
      cityops bench growth --for 10s --json growth.json
    """
    _run("growth", json_path, None, seconds=seconds, rate=rate, shape=shape)


@click.command()
@click.option("--for", "seconds", type=Seconds(), default="20m", show_default=True, help="How long.")
@RATE
@SHAPE
@JSON
@PNG
def soak(*, seconds: float, rate: float | None, shape: str, json_path: Path | None, png_path: Path | None) -> None:
    """Run a worker for long at half of what it can do; memory has to stay flat and the lag bounded.

    \b
    Example:
      cityops bench soak --for 5m --rate 10000 --png soak.png
    """
    _run("soak", json_path, png_path, seconds=seconds, rate=rate, shape=shape)


@click.command()
@click.option("--burst", "burst_s", type=Seconds(), default="30s", show_default=True, help="Event time of the burst.")
@click.option("--for", "seconds", type=Seconds(), default="3m", show_default=True, help="How long it goes on live.")
@RATE
@SHAPE
@JSON
@PNG
def burst(
    *, burst_s: float, seconds: float, rate: float | None, shape: str, json_path: Path | None, png_path: Path | None
) -> None:
    """Start a worker behind ten times the rate, and go on live: all is accounted for, and crashes are told at once.

    \b
    Example:
      cityops bench burst --burst 10s --for 1m --rate 5000
    """
    _run("burst", json_path, png_path, burst_s=burst_s, seconds=seconds, rate=rate, shape=shape)


@click.command()
@click.option("--for", "seconds", type=Seconds(), default="25m", show_default=True, help="Event time of the log.")
@click.option("--live", "live_s", type=Seconds(), default="2m", show_default=True, help="Live time after it.")
@click.option("--rate", type=click.FloatRange(100), default=10_000, show_default=True, help="Positions a second.")
@click.option("--vehicles", type=click.IntRange(100), default=100_000, show_default=True, help="Vehicles.")
@SHAPE
@JSON
@PNG
def memory(
    *, seconds: float, live_s: float, rate: float, vehicles: int, shape: str, json_path: Path | None,
    png_path: Path | None,
) -> None:  # fmt: skip
    """Measure the memory of a worker that holds so many vehicles: working off a log, and then live at the same rate.

    \b
    Example:
      cityops bench memory --for 5m --shape frames
    """
    _run("memory", json_path, png_path, seconds=seconds, live_s=live_s, rate=rate, vehicles=vehicles, shape=shape)


@click.command()
@click.option("--for", "seconds", type=Seconds(), default="20s", show_default=True, help="Event time of the log.")
@click.option(
    "--rate", type=click.FloatRange(100), default=100_000, show_default=True, help="Positions a second of it."
)
@click.option("--vehicles", type=click.IntRange(100), default=100_000, show_default=True, help="Vehicles.")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many costs are shown.")
@SHAPE
@JSON
def profile(*, seconds: float, rate: float, vehicles: int, top: int, shape: str, json_path: Path | None) -> None:
    """Tell where a worker's processor time goes: all its threads, sampled by py-spy.

    \b
    Example:
      cityops bench profile --shape frames --top 20
    """
    _run("profile", json_path, None, seconds=seconds, rate=rate, vehicles=vehicles, top=top, shape=shape)


def _run(name: str, json_path: Path | None, png_path: Path | None, **options: Any) -> None:
    """Measure, show, write."""
    tools = from_checkout("engine_tools")
    tools.check(name, png_path)
    measure: Callable[..., Any] = getattr(tools, name)
    result = tools.measured(settings_from_env(), terminal(stderr=True), measure, options)
    tools.show(name, result, terminal(), options)
    if json_path is not None:
        tools.write_json(result, json_path)
    if png_path is not None:
        tools.draw(name, result, png_path)
