"""The difference between two runs for people: a table whose colours mean something.

Green is added, red is lost, yellow is changed; under a changed incident stands each field from what to what, and the
evidence behind it.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.records import AffectedLine, DueTrip, Evidence
from streams.diff import ChangedIncident, Diff, EvidenceChange, FieldChange, FoundIncident

ADDED: Final = "green"
LOST: Final = "red"
CHANGED: Final = "yellow"
FOLLOWS: Final = frozenset({"incident_id", "revision", "tick_ms", "evidence"})
"""Fields that change because others do, or are told by the evidence: shown only where nothing else changed."""


def render_diff(diff: Diff, zone: ZoneInfo) -> RenderableType:
    """Return the difference as a table with a summary line; times are in the zone."""
    parts: list[RenderableType] = []
    if diff.added or diff.lost or diff.changed:
        table = Table("", "incident", "what", show_lines=True)
        for one in diff.items.added:
            table.add_row("added", _head(one.incident_id, one, zone), _found(one, "+", ADDED), style=ADDED)
        for one in diff.items.lost:
            table.add_row("lost", _head(one.incident_id, one, zone), _found(one, "-", LOST), style=LOST)
        for both in diff.items.changed:
            what = Text("\n").join(_told(both, zone))
            table.add_row("changed", _head(both.incident_id_a, both, zone), what, style=CHANGED)
        parts.append(table)
    if diff.conflicts:
        parts.append(Text(f"{diff.conflicts} revisions were published with two contents", style="bold red"))
    parts.append(_summary(diff))
    return Group(*parts)


def _summary(diff: Diff) -> Text:
    text = Text(f"{diff.compared} incidents of {diff.run_a} against {diff.run_b}: ")
    if diff.empty:
        return text.append("no difference: 0 added, 0 lost, 0 changed")
    for number, (count, word, style) in enumerate(
        ((diff.added, "added", ADDED), (diff.lost, "lost", LOST), (diff.changed, "changed", CHANGED))
    ):
        text.append(", " if number else "").append(f"{count} {word}", style if count else "")
    return text


def _head(incident_id: str, one: FoundIncident | ChangedIncident, zone: ZoneInfo) -> str:
    return f"{incident_id}\n{one.kind}, {_at(one.opened_at_ms, zone)}\n{one.place}"


def _found(one: FoundIncident, sign: str, style: str) -> Text:
    lines = [Text(f"{one.state.lower()}: {'; '.join(one.because)}" if one.because else one.state.lower())]
    lines += [_evidence(sign, part, style) for part in one.evidence]
    return Text("\n").join(lines)


def _told(both: ChangedIncident, zone: ZoneInfo) -> Iterator[Text]:
    changes = [change for change in both.changes if change.field not in FOLLOWS]
    evidence = both.evidence_added or both.evidence_lost or both.evidence_changed
    for change in changes or ([] if evidence else both.changes):
        yield Text(f"{change.field} {_change(change, zone)}")
    if both.because_a != both.because_b:
        yield Text(f"because {'; '.join(both.because_a) or 'nothing'} → {'; '.join(both.because_b) or 'nothing'}")
    yield from (_evidence("+", part, ADDED) for part in both.evidence_added)
    yield from (_evidence("-", part, LOST) for part in both.evidence_lost)
    for pair in both.evidence_changed:
        yield Text("~ ", CHANGED).append(f"{_source(pair.before)}: {_rejudged(pair)}")
    if not both.changes and not evidence:
        yield Text("the order of its evidence")


def _evidence(sign: str, part: Evidence, style: str) -> Text:
    return Text(f"{sign} {_source(part)} ({_judged(part)})", style)


def _source(part: Evidence) -> str:
    return f"{part.kind} {part.device_id} {part.distance_m:.0f} m"


def _judged(part: Evidence) -> str:
    return f"score {part.score:.2f}, weight {part.weight:.2f}"


def _rejudged(pair: EvidenceChange) -> str:
    """Tell how both runs judge it; where that is the same to two digits, which of its fields differ."""
    before, after = _judged(pair.before), _judged(pair.after)
    return f"{before} → {after}" if before != after else f"other {', '.join(_unlike(pair.before, pair.after))}"


def _unlike(one: object, other: object) -> list[str]:
    """Return the names of the fields in which two records of a kind differ."""
    names = (field.name for field in fields(one))  # type: ignore[arg-type]
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def _change(change: FieldChange, zone: ZoneInfo) -> str:
    before, after = change.before, change.after
    if isinstance(before, tuple) and isinstance(after, tuple):
        return _items(before, after)
    if change.field.endswith("_ms") and isinstance(before, int) and isinstance(after, int):
        return f"{_at(before, zone, exact=True)} → {_at(after, zone, exact=True)}"
    if isinstance(before, float) and isinstance(after, float):
        short = f"{before:.2f}", f"{after:.2f}"
        return " → ".join(short if short[0] != short[1] else (repr(before), repr(after)))
    return f"{_word(before)} → {_word(after)}"


def _items(before: tuple[Any, ...], after: tuple[Any, ...]) -> str:
    """Tell what a list has gained and lost; where nothing, how many items differ, and in what."""
    names, others = [_label(item) for item in before], [_label(item) for item in after]
    gone = [f"-{name}" for name in dict.fromkeys(names) if name not in others]
    come = [f"+{name}" for name in dict.fromkeys(others) if name not in names]
    if gone or come:
        return " ".join((*gone, *come))
    pairs = [(one, other) for one, other in zip(before, after, strict=False) if one != other]
    unlike = len(pairs) + abs(len(before) - len(after))
    what = dict.fromkeys(name for one, other in pairs if is_dataclass(one) for name in _unlike(one, other))
    return f"{unlike} of {max(len(before), len(after))} with other {', '.join(what) or 'content'}"


def _label(item: object) -> str:
    if isinstance(item, AffectedLine):
        return item.line_name or item.line_id
    if isinstance(item, DueTrip):
        return item.trip_id or f"{item.line_id} at {item.stop_id}"
    return str(item)


def _word(value: object) -> str:
    words = str(value)
    return (words.lower() if words.isupper() else words) or "nothing"


def _at(at_ms: int, zone: ZoneInfo, *, exact: bool = False) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, zone)
    return moment.strftime("%H:%M:%S.%f")[:-3] if exact else moment.strftime("%Y-%m-%d %H:%M:%S")
