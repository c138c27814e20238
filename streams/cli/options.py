"""Options that several commands share."""

import re
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click


class Seconds(click.ParamType):
    """A length of time: 90, 90s, 15m, 2h, 1d; the value is seconds."""

    name = "time"
    _units = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}  # noqa: RUF012

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(value))
        if match is None or match[2] not in self._units:
            self.fail(f"{value!r} is not a length of time: write 90s, 15m, 2h or 1d", param, ctx)
        return float(match[1]) * self._units[match[2]]


class Moment(click.ParamType):
    """A moment: ISO 8601 (in the city's zone unless an offset is given) or epoch milliseconds; the value is ms."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return UTC epoch milliseconds."""
        if isinstance(value, int) or str(value).isdigit():
            return int(value)
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time: write 2026-11-22T18:00 or epoch milliseconds", param, ctx)
        if moment.tzinfo is None:
            from streams.session import city_of
            from streams.settings import settings_from_env

            moment = moment.replace(tzinfo=ZoneInfo(city_of(settings_from_env()).time_zone))
        return int(moment.timestamp() * 1000)


class Speed(click.ParamType):
    """How fast a replay goes: 1x, 20x or max; the value is seconds of event time a second, 0 for max."""

    name = "speed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds of event time a second, 0 = as fast as it goes."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)x?", str(value))
        speed = float(match[1]) if match else 0.0
        if not speed and value != "max":
            self.fail(f"{value!r} is not a speed: write 1x, 20x or max", param, ctx)
        return speed


class OneOf(click.Choice):
    """One of an enum's words, in any case; the value is its member."""

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__([one.value for one in words], case_sensitive=False)
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the member."""
        return self._words(super().convert(value, param, ctx))


class NewFile(click.Path):
    """A file to be written, in a folder that exists."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        path = Path(str(super().convert(value, param, ctx))).absolute()
        if not path.parent.is_dir():
            self.fail(f"there is no folder {path.parent} to write {path.name} into", param, ctx)
        return path


SECONDS = Seconds()
MOMENT = Moment()
SPEED = Speed()
FOLDER_OR_FILE = click.Path(exists=True, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = NewFile()
