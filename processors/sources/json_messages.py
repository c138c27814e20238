"""What the JSON formats share: bytes become objects, objects become checked models, mistakes become words."""

from collections.abc import Callable, Iterator
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import from_json, to_json

from processors.sources.contract import TEXT_LIMIT, Item, LeftOut, Refused
from processors.sources.times import epoch_ms, read_time


class Message(BaseModel):
    """Base of what a JSON message says: fields that are not read may be there, null means not told."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


_Told = TypeVar("_Told")
_MARK: Final = b"\xef\xbb\xbf"
"""The byte order mark that some editors put before UTF-8."""


def _time(value: object) -> int:
    """Return epoch milliseconds of a number or text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("is not a time")
    return read_time(value, None) if isinstance(value, str) else epoch_ms(value)


Time = Annotated[int, BeforeValidator(_time)]
"""Epoch milliseconds, from ISO 8601 with an offset, epoch seconds or milliseconds."""


def read_objects(
    message: bytes,
    path: str,
    line: int,
    parse: Callable[[object], _Told],
    understand: Callable[[_Told, str, int, str], Iterator[Item]],
) -> Iterator[Item]:
    """Read a JSON object, or an array of them: `understand(parse(object), path, line, text)` gives its items.

    parse: raises ValueError (a ValidationError with all that is wrong) for an object that is not what it should be.
    The items of an array all carry the message's line. A blank message gives nothing.
    """
    if not message.strip():
        return
    text = message.decode("utf-8", "replace").strip()[:TEXT_LIMIT]
    try:
        content = from_json(message.removeprefix(_MARK))
    except ValueError as error:
        yield Refused(path, line, (f"not JSON: {error}",), text)
        return
    several = isinstance(content, list)
    if several and not content:
        yield LeftOut(path, line, "an empty list")
    for number, one in enumerate(content if several else [content], start=1):
        where = f"item {number}: " if several else ""
        own = to_json(one).decode("utf-8", "replace")[:TEXT_LIMIT] if several else text
        try:
            told = parse(one)
        except ValueError as error:
            wrong = _in_words(error) if isinstance(error, ValidationError) else [str(error)]
            yield Refused(path, line, tuple(where + words for words in wrong), own)
            continue
        yield from understand(told, path, line, own)


def _in_words(error: ValidationError) -> Iterator[str]:
    """Say what is wrong, one sentence a mistake, each with the path of the field."""
    for detail in error.errors(include_url=False, include_input=True):
        where = ".".join(str(part) for part in detail["loc"])
        if detail["type"] == "missing":
            yield f"no {where}"
        elif detail["type"] == "extra_forbidden":
            yield f"{where} is no field of it"
        else:
            shown = repr(detail["input"])
            told = detail["msg"].removeprefix("Value error, ")
            yield f"{where or 'the message'}: {told}, not {shown[:60]}"
