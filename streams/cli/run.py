"""Commands that run things: demo, up, worker, simulate."""

import contextlib
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import click

from streams.cli.inject import inject
from streams.cli.options import FILE, FOLDER, FOLDER_OR_FILE, NEW_FILE, SECONDS
from streams.cli.reading_options import format_named, read_options, reading_options
from streams.cli.sending_options import sending_options
from streams.cli.terminal import terminal
from streams.reach import answering
from streams.settings import settings_from_env
from streams.stack import endpoints


@click.command()
@click.option("--for", "for_s", type=SECONDS, help="How long, in wall time (60s, 5m); without it until Ctrl-C.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the simulated city.  [default: 7, live one of the hour]")
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0.1, 100), help="Event time per second.")
@click.option("--vehicles", default=1500, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--report", type=NEW_FILE, help="Write the accounting as JSON here.")
@click.option("--input", "inputs", multiple=True, help="Recorded data instead of the simulator: file, folder, URL, -.")
@reading_options
@click.option("--gtfs", type=FOLDER_OR_FILE, help="The network as GTFS (folder or zip).")
@click.option("--stops", type=FILE, help="Stops as GTFS stops.txt (may be .gz) where there is no whole GTFS.")
@click.option("--units", type=FILE, help="Administrative units as GeoJSON polygons.")
@click.option("--city", default="auto", show_default=True, help="A city package, or auto: derived from the input.")
@click.option("--rules", type=FOLDER, help="Another folder of rules.")
@click.option("--run", "run_name", default="", help="Name of an isolated run; recorded input runs as `recorded`.")
@click.option("--browser/--no-browser", default=True, help="Whether a live demo on a terminal opens the page.")
def demo(
    for_s: float | None,
    seed: int | None,
    speed: float,
    vehicles: int,
    report: Path | None,
    inputs: tuple[str, ...],
    form: str | None,
    mapping: str,
    speed_unit: str,
    time_zone: str,
    record: str | None,
    placement: Path | None,
    gtfs: Path | None,
    stops: Path | None,
    units: Path | None,
    city: str,
    rules: Path | None,
    run_name: str,
    browser: bool,
) -> None:
    """Show a city's stream becoming incidents: simulated, or recorded data of your own.

    Starts Kafka, a schema registry and ClickHouse unless they run already, and stops what it started.
    Without --for it runs live and keeps its data; with --for or another --speed it is a run of its own, `demo`, that
    begins from nothing each time (ask it with `cityops sql --run demo`).

    \b
    Examples:
      cityops demo
      cityops demo --for 60s --seed 7 --report report.json
      cityops demo --input detections.jsonl --format deepstream --placement cameras.csv
      cityops demo --input positions.csv --map vehicle_id=bus,at=time,lat=lat,lon=lon --time-zone Europe/Berlin
    """
    settings = settings_from_env()
    settings = replace(
        settings, gtfs=gtfs or settings.gtfs, units=units or settings.units, rules=rules or settings.rules
    )
    if run_name:
        settings = settings.with_run(run_name, run_name)
    console = terminal()
    if inputs:
        from streams.recorded_demo import RecordedDemoOptions, run_recorded_demo

        reading = read_options(mapping, speed_unit, time_zone, record)
        given = RecordedDemoOptions(inputs, format_named(form), reading, placement, stops, city, report)
        balances = run_recorded_demo(settings, given, console)
    else:
        from streams.demo import DemoOptions, run_demo

        if city != "auto":
            settings = replace(settings, city=Path(city))
        balances = run_demo(settings, DemoOptions(for_s, seed, speed, vehicles, report, browser), console)
    sys.exit(0 if balances else 1)


@click.command()
def up() -> None:
    """Run the stack and a worker for your own producers, and show what happens, until Ctrl-C.

    \b
    Example:
      cityops up
      eval "$(cityops stack env)"     # in another terminal: addresses for your producers
    """
    from streams.demo import run_up

    run_up(settings_from_env(), terminal())


@click.command()
@click.option("--run", "run_name", default=None, help="Name of an isolated run; without it the live one.")
@click.option("--web-port", type=int, help="Port of the page, its API and the status.  [default: 6066]")
@click.option("--ticker/--no-ticker", default=None, help="Whether to append the time to the input topics.")
@click.option("--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning"]))
def worker(run_name: str | None, web_port: int | None, ticker: bool | None, log_level: str) -> None:
    """Run one worker in the foreground: ingest, detection, incidents, ClickHouse.

    \b
    Example:
      cityops worker --web-port 6067
    """
    if run_name is not None:
        os.environ["CITYOPS_RUN"] = run_name
    if web_port is not None:
        os.environ["CITYOPS_WEB_PORT"] = str(web_port)
    if ticker is not None:
        os.environ["CITYOPS_TICKER"] = "on" if ticker else "off"
    endpoints(settings_from_env())  # a mistake is told before the worker's own output begins
    os.execv(  # noqa: S606 (the worker takes this process's place)
        sys.executable, [sys.executable, "-m", "faust", "-A", "faust_app", "worker", "-l", log_level]
    )


@click.group(invoke_without_command=True)
@click.option("--for", "for_s", type=SECONDS, help="How long (60s, 5m); without it until Ctrl-C.")
@click.option("--seed", default=7, show_default=True)
@click.option("--vehicles", default=1500, show_default=True, type=click.IntRange(1, 100_000))
@sending_options(linger_ms=5)
@click.pass_context
def simulate(
    ctx: click.Context,
    for_s: float | None,
    seed: int,
    vehicles: int,
    frames: bool,
    frame_rows: int,
    frame_ms: int,
    compression: str,
    linger_ms: int,
) -> None:
    """Write a simulated city into the live topics, at the clock's pace; the worker's ticker tells the time.

    \b
    Examples:
      cityops simulate --for 5m --seed 7
      cityops simulate --for 5m --vehicles 20000 --frames
      cityops simulate inject crash --at 21.0285,105.8542
    """
    if ctx.invoked_subcommand is not None:
        return
    import time

    from processors.framing import FramingRule
    from processors.simulate import LIVE_SCENES, Simulation, SimulationRule
    from streams.feed import Feeder
    from streams.registry import load_codec
    from streams.sending import SendingRule
    from streams.session import city_of

    settings = answering(endpoints(settings_from_env()))
    now_ms = time.time_ns() // 1_000_000
    start_ms = now_ms - now_ms % 250
    until_ms = None if for_s is None else start_ms + int(for_s * 1000)
    played = SimulationRule(vehicles=vehicles, scenes_per_hour=LIVE_SCENES)
    simulation = Simulation(city_of(settings), seed, start_ms, played, until_ms)
    rule = SendingRule(FramingRule(frame_rows, frame_ms) if frames else None, compression, linger_ms)
    feeder = Feeder(settings, load_codec(settings), simulation, 1.0, ticks=False, rule=rule)
    with contextlib.suppress(KeyboardInterrupt):
        feeder.run(for_s, threading.Event())
    click.echo(f"sent {feeder.sent:,} records")


simulate.add_command(inject)
