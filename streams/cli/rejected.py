"""cityops rejected: what was refused, and why."""

from collections import Counter
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from schemas import records
from schemas.codec import Codec
from schemas.errors import CityopsError, Reason, Rejected
from streams import topics
from streams.cli.showing import city_zone, codec_of, json_text, local_time, settings_of
from streams.settings import Settings

SHOWN_BYTES: Final = 1_024
HEX_WIDTH: Final = 16
TOPICS: Final = tuple(topic.name for topic in topics.INPUTS)


@click.group()
def rejected() -> None:
    """List and show the records that were refused, with the reason and the original bytes."""


@rejected.command("list")
@click.option("--reason", type=click.Choice(list(Reason)), help="Only of this reason.")
@click.option("--topic", type=click.Choice(TOPICS), help="Only of this input topic.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="The newest so many.")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Print counts by reason and the records as JSON.")
def list_rejected(reason: str | None, topic: str | None, limit: int, run_name: str, as_json: bool) -> None:
    """List the newest refused records.

    \b
    Examples:
      cityops rejected list --reason late --limit 10
      cityops rejected list --json
    """
    settings = settings_of(run_name)
    every = read_rejected(settings, codec_of(settings))
    found = [one for one in every if reason in (None, one.reason) and topic in (None, one.source_topic)]
    counts = dict(Counter(one.reason for one in found).most_common())
    if as_json:
        shown = [_summary(one) for one in found[-limit:]]
        click.echo(json_text({"reasons": counts, "records": shown}))
        return
    table = Table("record", "decided at", "reason", "key", "first error")
    zone = city_zone(settings)
    for one in found[-limit:]:
        key = "" if one.key is None else one.key[:40].decode("utf-8", "replace")
        error = one.errors[0] if one.errors else ""
        table.add_row(place_of(one), local_time(one.tick_ms, zone), one.reason, key, error[:100])
    console = Console()
    console.print(table)
    told = ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
    console.print(f"{len(found):,} records, {min(limit, len(found)):,} shown: {told}")


@rejected.command("show")
@click.argument("place", metavar="TOPIC/PARTITION/OFFSET")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON, its bytes as base64.")
def show_rejected(place: str, run_name: str, as_json: bool) -> None:
    """Show one refused record: every error, its headers, its bytes, and what can be decoded of them.

    \b
    Example:
      cityops rejected show vehicle.positions.v1/2/1207
    """
    settings = settings_of(run_name)
    codec = codec_of(settings)
    one = next((one for one in read_rejected(settings, codec) if place_of(one) == place), None)
    if one is None:
        raise CityopsError(f"no record {place} was rejected: `cityops rejected list` shows those that were")
    if as_json:
        click.echo(json_text({**_summary(one), "decoded": _attempt(codec, one.value), "record": one}))
        return
    click.echo(f"{place}: {one.reason}, decided at {local_time(one.tick_ms, city_zone(settings))}")
    for error in one.errors:
        click.echo(f"  {error}")
    click.echo(f"key: {'none' if one.key is None else repr(one.key[:200])}")
    for header in one.headers:
        click.echo(f"header {header.name}: {header.value!r}")
    decoded = _attempt(codec, one.value)
    click.echo(f"decoded: {decoded if isinstance(decoded, str) else json_text(decoded)}")
    click.echo(hex_dump(one.value or b""))


def read_rejected(settings: Settings, codec: Codec) -> list[records.Rejected]:
    """Return every rejected record of a run, each once, in the order in which they were rejected."""
    from streams.reading import reading

    found: dict[str, records.Rejected] = {}
    with reading(settings) as log:
        for message in log.read(topics.REJECTED, {}, log.end([topics.REJECTED])):
            one = codec.read(message.value or b"", records.Rejected)
            found.setdefault(place_of(one), one)
    return list(found.values())


def place_of(one: records.Rejected) -> str:
    """Return TOPIC/PARTITION/OFFSET of a rejected record."""
    return f"{one.source_topic}/{one.source_partition}/{one.source_offset}"


def hex_dump(value: bytes) -> str:
    """Return the bytes sixteen a line: offset, hex, printable ASCII; of long values the beginning."""
    lines = []
    for at in range(0, min(len(value), SHOWN_BYTES), HEX_WIDTH):
        part = value[at : at + HEX_WIDTH]
        plain = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:08x}  {part.hex(' '):<{HEX_WIDTH * 3 - 1}}  |{plain}|")
    if len(value) > SHOWN_BYTES:
        lines.append(f"... {len(value) - SHOWN_BYTES:,} more bytes (--json has them all)")
    return "\n".join(lines) or "no value"


def _attempt(codec: Codec, value: bytes | None) -> str | dict[str, Any]:
    """Return {record, fields}, or why the bytes cannot be decoded."""
    try:
        name, found = codec.decode(value)
    except Rejected as error:
        return "; ".join(error.errors)
    return {"record": name, "fields": found}


def _summary(one: records.Rejected) -> dict[str, Any]:
    return {
        "place": place_of(one),
        "tick_ms": one.tick_ms,
        "reason": one.reason,
        "errors": one.errors,
        "key": None if one.key is None else one.key.decode("utf-8", "backslashreplace"),
        "value_bytes": None if one.value is None else len(one.value),
    }
