"""cityops ingest: messages of others into the live topics."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from streams.cli.reading_options import format_named, read_options, reading_options
from streams.cli.sending_options import sending_options
from streams.cli.showing import codec_of, json_text
from streams.cli.terminal import terminal
from streams.reach import wait_answering
from streams.settings import settings_from_env
from streams.stack import endpoints


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@reading_options
@sending_options(linger_ms=50)
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live topics.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def ingest(
    inputs: tuple[str, ...],
    form: str | None,
    mapping: str,
    speed_unit: str,
    time_zone: str,
    record: str | None,
    placement: Path | None,
    frames: bool,
    frame_rows: int,
    frame_ms: int,
    compression: str,
    linger_ms: int,
    run_name: str,
    as_json: bool,
) -> None:
    """Send what sources say into the live topics, as it comes; INPUT is a file, a folder, a URL or - (standard input).

    Nothing is judged here but the form: the worker refuses what is late, impossible or without a place (`cityops
    rejected list`). Every message that cannot be read is counted and kept in a file. `demo --input` is for recordings.

    \b
    Examples:
      cityops ingest https://example.org/gtfs-rt/vehicles.pb
      mosquitto_sub -t frigate/events | cityops ingest - --format frigate
      cityops ingest detections/ --format deepstream --placement cameras.csv
      cityops ingest positions.csv --frames --compression zstd
    """
    from processors.framing import FramingRule
    from streams.admin import ensure_topics
    from streams.estate import now_ms
    from streams.ingest import IngestOptions, run_ingest
    from streams.placing import read_placement_file
    from streams.sending import SendingRule
    from streams.session import stopped_by_signals

    console = terminal(stderr=True)
    reading = read_options(mapping, speed_unit, time_zone, record)
    devices = read_placement_file(placement, console) if placement is not None else ()
    placed = tuple(replace(one, registered_at_ms=now_ms()) for one in devices)
    settings = settings_from_env()
    settings = endpoints(settings.with_run(run_name, run_name) if run_name else settings)
    wait_answering(settings)
    codec = codec_of(settings)
    ensure_topics(settings)
    sending = SendingRule(FramingRule(frame_rows, frame_ms) if frames else None, compression, linger_ms)
    with stopped_by_signals():
        options = IngestOptions(inputs, format_named(form), reading, placed, sending)
        summary = run_ingest(settings, codec, options, console)
    if as_json:
        click.echo(json_text(summary.as_json()))
    sys.exit(0 if summary.acknowledged == summary.records and (summary.records or not summary.refused) else 1)
