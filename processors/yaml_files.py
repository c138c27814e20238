"""YAML read for people: every mistake with its file and line, in plain words, all at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

_Path = tuple[str | int, ...]


class Entry(BaseModel):
    """Base of everything written in YAML: exact types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


_Model = TypeVar("_Model", bound=Entry)


class Mistakes:
    """Mistakes found in files, in the order found."""

    def __init__(self) -> None:
        """Start with none."""
        self.found: list[str] = []

    def add(self, file: str, line: int | None, message: str) -> None:
        """Note one; line counts from 1, None = the file as a whole."""
        self.found.append(f"{file} line {line}: {message}" if line is not None else f"{file}: {message}")


class YamlFile:
    """One parsed file: its content as plain values and the line on which each stands."""

    def __init__(self, name: str, content: object, lines: Mapping[_Path, int]) -> None:
        """Keep the content and the line of every path into it."""
        self.name, self.content, self._lines = name, content, lines

    def line(self, *path: str | int) -> int | None:
        """Return the line of the deepest known part of a path, counted from 1."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._lines:
                return self._lines[path[:end]]
        return None

    def validated(self, model: type[_Model], mistakes: Mistakes) -> _Model | None:
        """Return the content as a model; None with every mistake noted if it is not one."""
        try:
            return model.model_validate(self.content)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                hint = ""
                if detail["type"] == "extra_forbidden":
                    hint = did_you_mean(str(detail["loc"][-1]), _keys_at(model, detail["loc"][:-1]))
                mistakes.add(self.name, self.line(*detail["loc"]), _in_words(detail) + hint)
            return None


def read_yaml(path: Path, mistakes: Mistakes) -> YamlFile | None:
    """Read a file; None, with the mistake noted, if it cannot be read or is no YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        mistakes.add(path.name, None, f"cannot be read ({error.__class__.__name__})")
        return None
    return parse_yaml(path.name, text, mistakes)


def parse_yaml(name: str, text: str, mistakes: Mistakes) -> YamlFile | None:
    """Parse the text of a file; None, with the mistake noted, if it is no YAML."""
    loader = yaml.CSafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            mistakes.add(name, None, "is empty")
            return None
        lines: dict[_Path, int] = {}
        _note_lines(node, (), lines, name, mistakes)
        return YamlFile(name, loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        mistakes.add(name, mark.line + 1 if mark else None, f"is not YAML: {error.problem or error.context}")
        return None
    except yaml.YAMLError:
        mistakes.add(name, None, "is not YAML: it holds control characters")
        return None
    finally:
        loader.dispose()


def _note_lines(node: yaml.Node, path: _Path, lines: dict[_Path, int], file: str, mistakes: Mistakes) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_lines(item, (*path, index), lines, file, mistakes)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                mistakes.add(file, key.start_mark.line + 1, f"{key.value} is given twice")
            seen.add(key.value)
            _note_lines(value, (*path, key.value), lines, file, mistakes)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the known word that is most like another; "" if none is."""
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _keys_at(model: type[Entry], path: _Path) -> list[str]:
    """Return the keys that an entry at a path into a model may have."""
    entries = [model]
    for part in path:
        fields = [field for entry in entries for name, field in entry.model_fields.items() if part == _key(entry, name)]
        entries = [found for field in fields for found in _entries_in(field.annotation)] or entries
    return [_key(entry, name) for entry in entries for name in entry.model_fields]


def _key(entry: type[Entry], name: str) -> str:
    return entry.model_fields[name].alias or name


def _entries_in(annotation: object) -> Iterator[type[Entry]]:
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        yield annotation
    for part in get_args(annotation):
        yield from _entries_in(part)


_WORDS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not a known key",
    "greater_than": "must be greater than {gt:g}, is {input}",
    "greater_than_equal": "must be at least {ge:g}, is {input}",
    "less_than": "must be less than {lt:g}, is {input}",
    "less_than_equal": "must be at most {le:g}, is {input}",
    "finite_number": "must be a finite number, is {input}",
    "float_type": "must be a number, is {input!r}",
    "int_type": "must be a whole number, is {input!r}",
    "string_type": "must be text (in quotes), is {input!r}",
    "model_type": "must hold keys and values, is {input!r}",
    "list_type": "must be a list, is {input!r}",
    "tuple_type": "must be a list, is {input!r}",
    "enum": "must be {expected}, is {input!r}",
    "literal_error": "must be {expected}, is {input!r}",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must look like {pattern}, is {input!r}",
    "too_short": "needs at least {min_length}, has {actual_length}",
    "too_long": "takes at most {max_length}, has {actual_length}",
    "value_error": "{error}",
}


def _in_words(detail: ErrorDetails) -> str:
    names: Sequence[str] = [str(part) for part in detail["loc"] if isinstance(part, str)]
    subject = names[-1] if names else "the file"
    context: dict[str, Any] = {**detail.get("ctx", {}), "input": detail["input"]}
    template = _WORDS.get(detail["type"])
    return f"{subject} {template.format(**context) if template else detail['msg']}"
