"""The report of an evaluation: Markdown with a picture beside it, or one page of HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from processors.evaluation.tally import ENOUGH_HOURS, ENOUGH_TRUTHS, KindTally, Share, Target

HEADINGS: Final = (
    "kind", "truths", "detected", "95 %", "confirmed", "median s", "90 % within s", "false", "of them confirmed",
    "sensor-hours",
    "false per 10,000 h", "at most (97.5 %)", "must reach", "reached", "",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a report is about. hours: of event time, all seeds together."""

    city: str
    city_version: str
    rules_version: str
    seeds: tuple[int, ...]
    difficulty: float
    hours: float
    records: int
    wall_s: float
    kinds: tuple[KindTally, ...]

    @property
    def asked(self) -> tuple[KindTally, ...]:
        """Return the kinds that truly happened."""
        return tuple(one for one in self.kinds if one.detected.of)


def markdown(one: Evaluation, picture: str) -> str:
    """Return the report; picture: where its picture is, as a link."""
    rows = [HEADINGS, ("---", *["---:"] * (len(HEADINGS) - 2), "---"), *map(_cells, one.kinds)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    notes = "\n".join(f"- {note}" for note in _notes(one))
    return f"# Evaluation\n\n{_summary(one)}\n\n{table}\n\n![Detected, by kind]({picture})\n\n{notes}\n"


def html(one: Evaluation, picture: str) -> str:
    """Return the report as a page that needs nothing else; picture: its SVG."""
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADINGS)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(kind))}</tr>" for kind in one.kinds
    )  # fmt: skip
    notes = "".join(f"<li>{escape(note)}</li>" for note in _notes(one))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Evaluation</title><style>'
        "body{font:15px system-ui,sans-serif;margin:2rem;max-width:80rem}"
        "table{border-collapse:collapse}th,td{padding:.2rem .6rem;border-bottom:1px solid #ddd;text-align:right}"
        "th:first-child,td:first-child{text-align:left}</style>"
        f"<h1>Evaluation</h1><p>{escape(_summary(one))}</p>"
        f"<table><tr>{head}</tr>{rows}</table>{picture}<ul>{notes}</ul></html>\n"
    )


def target_in_words(target: Target) -> str:
    """Say what must be reached."""
    words = [f"{'confirmed' if target.confirmed else 'detected'} {target.share:.0%}"]
    words += [f"within {target.within_m:g} m"] if target.within_m is not None else []
    words += [f"of those with {target.witnesses} witnesses"] if target.witnesses else []
    words += [f"median {target.median_s:g} s"] if target.median_s is not None else []
    words += [f"false < {target.false:g}"] if target.false is not None else []
    return ", ".join(words)


def judgement(one: KindTally) -> str:
    """Say whether a kind reaches what it must, and whether there was enough to judge by."""
    if not one.detected.of:
        return "did not happen"
    verdict = "met" if one.met else "not met"
    return verdict if one.enough else f"{verdict}, few"


def _cells(one: KindTally) -> tuple[str, ...]:
    return (
        one.kind,
        str(one.detected.of),
        _percent(one.detected),
        f"{one.detected.low:.1%} to {one.detected.high:.1%}" if one.detected.of else "",
        str(one.confirmed),
        _seconds(one.median_s),
        _seconds(one.p90_s),
        str(one.false),
        str(one.false_confirmed),
        f"{one.sensor_hours:,.0f}",
        f"{one.false_rate:.2f}",
        f"{one.false_high:.2f}",
        target_in_words(one.target),
        f"{_percent(one.reached)} of {one.reached.of}" if one.reached.of else "",
        judgement(one),
    )


def _percent(share: Share) -> str:
    return f"{share.value:.1%}" if share.of else ""


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _summary(one: Evaluation) -> str:
    asked = one.asked
    met = [kind for kind in asked if kind.met]
    seeds = ", ".join(map(str, one.seeds))
    return (
        f"{len(met)} of {len(asked)} kinds reach what they must. {one.city}, seeds {seeds}, difficulty "
        f"{one.difficulty:g}, {one.hours:g} h of event time and {one.records:,} records in {one.wall_s:,.0f} s "
        f"({one.hours * 3600 / max(1e-9, one.wall_s):,.0f} times as fast as the clock). "
        f"City {one.city_version}, rules {one.rules_version}."
    )


def _notes(one: Evaluation) -> Sequence[str]:
    few = [kind.kind for kind in one.asked if not kind.enough]
    notes = [
        "detected: an incident of the kind opened in time and near enough (docs/simulator.md, Scoring); 95 %: Wilson "
        "score interval.",
        "sensor-hours: cameras and sensors that can make a claim the rule weighs, times hours; vehicles only where no "
        "camera and no sensor can.",
        "median and 90 %: seconds from the truth to the tick of the first revision.",
    ]
    if few:
        notes.append(
            f"few: fewer than {ENOUGH_TRUTHS} truths or {ENOUGH_HOURS:,.0f} sensor-hours: {', '.join(few)}."
        )  # fmt: skip
    return notes
