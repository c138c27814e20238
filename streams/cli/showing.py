"""What the commands that show things share: whose topics, which zone, which form."""

from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec
from rich.table import Column

from schemas.codec import Codec
from schemas.errors import UsageError
from streams.reach import answering
from streams.settings import Settings, settings_from_env
from streams.stack import endpoints

if TYPE_CHECKING:
    from processors.city import City
    from processors.network import Unit

WAIT_S: Final = 20.0
"""A registry that has just been started is worth waiting for."""


def settings_of(run: str) -> Settings:
    """Return the settings of a run (empty = as the environment says), with the addresses of the running servers."""
    settings = settings_from_env()
    return answering(endpoints(settings.with_run(run, run) if run else settings))


def codec_of(settings: Settings) -> Codec:
    """Return the registry's codec; ids of the last start need no question, since an id never changes its meaning."""
    from streams.registry import kept_codec, load_codec

    return kept_codec(settings) or load_codec(settings, WAIT_S)


def run_city(settings: Settings) -> "City":
    """Return the run's own city (a recording's, derived from it) or else that of the settings.

    Raises UsageError when its package is invalid.
    """
    from streams.session import city_of

    derived = settings.home / "runs" / settings.run / "city"
    return city_of(replace(settings, city=derived) if settings.run and derived.is_dir() else settings)


def city_zone(settings: Settings) -> ZoneInfo:
    """Return the time zone of the run's city. Raises UsageError when its package is invalid."""
    return ZoneInfo(run_city(settings).time_zone)


def unit_named(city: "City", text: str) -> "Unit":
    """Return the unit of a code or name; its type may be left out ("Hoàn Kiếm" is phường Hoàn Kiếm).

    Raises UsageError with near names when there is none, or with all of them when there are several.
    """
    wanted = text.casefold()
    found = [one for one in city.units if wanted in (one.unit_code.casefold(), one.name.casefold())]
    found = found or [one for one in city.units if one.name.casefold().partition(" ")[2] == wanted]
    if len(found) == 1:
        return found[0]
    names = [one.name for one in found] or get_close_matches(text, [one.name for one in city.units], n=3, cutoff=0.5)
    hint = f": did you mean {', '.join(names)}?" if names else ""
    raise UsageError(f"{city.name} has {'several units' if found else 'no unit'} {text!r}{hint}")


def local_time(at_ms: int, zone: ZoneInfo) -> str:
    """Return `2026-11-22 18:04:05` in a zone."""
    return datetime.fromtimestamp(at_ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def whole(header: str) -> Column:
    """Return a table's column for ids that the next command takes: never shortened, never broken."""
    return Column(header, no_wrap=True)


def folded(header: str) -> Column:
    """Return a table's column for ids beside other ids: broken in a narrow terminal, but never shortened."""
    return Column(header, overflow="fold")


def json_text(value: object) -> str:
    """Return indented JSON; bytes become base64."""
    return msgspec.json.format(msgspec.json.encode(value)).decode()
