"""Qualification: third parties' cameras judged against a versioned checklist, with every reason.

A declaration is what the owner says of a camera; the checklist (docs/estate.md) is data of the city. Nothing here
looks at a camera: whoever declares, answers for it.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from processors.city_files import CityInvalid
from processors.yaml_files import Entry, Mistakes, read_yaml
from schemas.errors import UsageError

FILE: Final = "camera_checklist.yaml"
Text = Annotated[str, Field(min_length=1)]


class Verdict(StrEnum):
    """What becomes of a third party's camera."""

    QUALIFIED = "qualified"
    CONDITIONAL = "conditional"
    REFUSED = "refused"


class Item(Entry):
    """One item of a checklist: a declared field, and what it must be.

    at_least, at_most: of numbers. one_of: of words, case does not count. required: a word that says yes, or any text.
    fails: what a camera is that does not meet it; days: for so long a conditional one counts. why: for people.
    """

    id: Text
    field: Text
    at_least: float | None = None
    at_most: float | None = None
    one_of: list[Text] = Field(default_factory=list)
    required: Literal["yes", "text", "day"] | None = None
    fails: Literal["refused", "conditional"]
    why: Text
    source: Text

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        asked = [self.at_least is not None or self.at_most is not None, bool(self.one_of), self.required is not None]
        if sum(asked) != 1:
            raise ValueError(f"{self.id}: give at_least/at_most, one_of or required, and only one of the three")
        return self


class ChecklistEntry(Entry):
    """camera_checklist.yaml."""

    version: Text
    valid_from: date
    valid_days: Annotated[int, Field(ge=1)]
    conditional_days: Annotated[int, Field(ge=1)]
    expiry_fields: list[Text] = Field(default_factory=list)
    items: Annotated[list[Item], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [one.id for one in self.items]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is given twice")
        return self


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is declared of a camera: fields by name, as text; line (counted from 1) says where."""

    line: int
    camera_id: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Failing:
    """An item that a camera does not meet, and how."""

    item: str
    fails: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """A camera, its verdict, every reason, and the last day on which it may be used; None = never."""

    camera_id: str
    line: int
    verdict: Verdict
    failing: tuple[Failing, ...]
    qualified_until: date | None


def read_checklist(path: Path) -> ChecklistEntry:
    """Return a checklist. Raises CityInvalid with every mistake found."""
    mistakes = Mistakes()
    file = read_yaml(path, mistakes)
    found = None if file is None else file.validated(ChecklistEntry, mistakes)
    if found is None:
        raise CityInvalid(path.name, mistakes.found)
    return found


def read_declarations(text: str) -> tuple[Declaration, ...]:
    """Return the declarations of a CSV file with a header, or of a JSON list of objects, in their order.

    Raises UsageError when it is neither, when one has no camera_id, or two have the same.
    """
    rows = _json_rows(text) if text.lstrip().startswith(("[", "{")) else _csv_rows(text)
    found: dict[str, Declaration] = {}
    for line, fields in rows:
        camera_id = fields.get("camera_id", "")
        if not camera_id:
            raise UsageError(f"line {line}: a declaration needs a camera_id")
        if camera_id in found:
            raise UsageError(f"line {line}: {camera_id} is already on line {found[camera_id].line}")
        found[camera_id] = Declaration(line, camera_id, fields)
    return tuple(found.values())


def judge(declared: Declaration, checklist: ChecklistEntry, today: date) -> Judgement:
    """Return the verdict on a camera as of a day: the worst that any item it does not meet says.

    Qualified until valid_days from that day, conditional until conditional_days from it; in both cases no longer than
    any of the checklist's expiry_fields (such as the end of the owner's consent) that is declared.
    """
    failing = [found for item in checklist.items if (found := _failing(item, declared.fields)) is not None]
    ends = []
    for name in checklist.expiry_fields:
        end = _day(declared.fields.get(name, ""))
        if end is not None:
            ends.append(end)
            if end < today:
                failing.append(Failing(name, Verdict.REFUSED, f"{name} {end} has passed"))
    worst = {one.fails for one in failing}
    verdict = next((one for one in (Verdict.REFUSED, Verdict.CONDITIONAL) if one in worst), Verdict.QUALIFIED)
    if verdict is Verdict.REFUSED:
        return Judgement(declared.camera_id, declared.line, verdict, tuple(failing), None)
    days = checklist.valid_days if verdict is Verdict.QUALIFIED else checklist.conditional_days
    until = min([today + timedelta(days=days), *ends])
    return Judgement(declared.camera_id, declared.line, verdict, tuple(failing), until)


def device_file(declared: Sequence[Declaration], judgements: Sequence[Judgement]) -> str:
    """Return CSV for `cityops estate import`: cameras that are not refused, each with its last day."""
    place = ("latitude_deg", "longitude_deg", "bearing_deg", "view_deg", "range_m", "name", "owner")
    told = StringIO()
    rows = csv.writer(told, lineterminator="\n")
    rows.writerow(("camera_id", "third_party", "qualified_until", *place))
    for one, judgement in zip(declared, judgements, strict=True):
        if judgement.qualified_until is not None:
            rows.writerow(
                (one.camera_id, "yes", judgement.qualified_until, *(one.fields.get(name, "") for name in place))
            )
    return told.getvalue()


def _failing(item: Item, fields: Mapping[str, str]) -> Failing | None:
    told = fields.get(item.field, "").strip()
    wrong = f"{item.field} is not declared" if not told else _wrong(item, told)
    return Failing(item.id, Verdict(item.fails), f"{wrong} ({item.why})") if wrong else None


def _wrong(item: Item, told: str) -> str:
    """Return what is wrong with a declared text, "" if nothing is."""
    if item.one_of:
        fits = told.casefold() in {one.casefold() for one in item.one_of}
        return "" if fits else f"{item.field} {told} is none of {', '.join(item.one_of)}"
    if item.required == "yes":
        return "" if told.casefold() in ("yes", "true", "1") else f"{item.field} is {told}, not yes"
    if item.required == "day":
        return "" if _day(told) is not None else f"{item.field} {told} is no day such as 2027-06-30"
    if item.required == "text":
        return ""
    return _wrong_number(item, told)


def _wrong_number(item: Item, told: str) -> str:
    try:
        number = float(told)
    except ValueError:
        return f"{item.field} {told} is no number"
    if not (item.at_least is None or number >= item.at_least):
        return f"{item.field} {told} is below {item.at_least:g}"
    if not (item.at_most is None or number <= item.at_most):
        return f"{item.field} {told} is above {item.at_most:g}"
    return ""


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _csv_rows(text: str) -> Iterable[tuple[int, dict[str, str]]]:
    reader = csv.reader(StringIO(text))
    header: list[str] = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = [cell.strip().lower() for cell in cells]
            if "camera_id" not in header:
                raise UsageError(f"the header has no column camera_id, only {', '.join(header)[:100]}")
        else:
            yield reader.line_num, {name: cell.strip() for name, cell in zip(header, cells, strict=False)}


def _json_rows(text: str) -> Iterable[tuple[int, dict[str, str]]]:
    try:
        whole: Any = json.loads(text)
    except ValueError as error:
        raise UsageError(f"the declarations are not JSON: {error}") from error
    for line, one in enumerate(whole if isinstance(whole, list) else [whole], 1):
        if not isinstance(one, dict):
            raise UsageError(f"declaration {line} is not an object with fields")
        yield line, {str(name).lower(): _plain(value) for name, value in one.items()}


def _plain(value: object) -> str:
    return "" if value is None else ("yes" if value else "no") if isinstance(value, bool) else str(value)
