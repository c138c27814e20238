"""Tables of what `cityops rules explain` and `backtest` say."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.table import Table

from processors.evaluation.backtest import KindComparison, RulesFigures
from processors.explain import Explanation, ListedClaim, Part
from streams.cli.showing import local_time, whole
from streams.rule_sets import Version


def revisions_table(found: Sequence[Explanation], zone: ZoneInfo) -> Table:
    """Return a row a revision: what it says, and the story or reason that made it."""
    table = Table("revision", "at", "state", "severity", "score", "witnesses", "made by")
    for one in found:
        incident = one.change.incident
        new = [f"story {story.number} ({story.level}): {story.words}" for story in one.stories if story.new]
        table.add_row(
            str(incident.revision),
            local_time(one.change.tick_ms, zone),
            incident.state.lower(),
            incident.severity.lower(),
            f"{incident.score:.2f}",
            str(incident.witnesses),
            "\n".join([*new, *one.change.reasons]),
        )
    return table


def stories_table(one: Explanation) -> Table:
    """Return the stories of the rule, and which are told."""
    table = Table("story", "for", "asks for", "told")
    for story in one.stories:
        table.add_row(str(story.number), story.level, story.words, "yes" if story.told else "")
    return table


def claims_table(one: Explanation, zone: ZoneInfo) -> Table:
    """Return a row a claim."""
    table = Table("observation", "at", "kind", "device", "score", "weight", "distance", "age", "part", "stories")
    for claim in one.claims:
        seen = claim.observation
        table.add_row(
            seen.observation_id,
            datetime.fromtimestamp(seen.at_ms / 1000, zone).strftime("%H:%M:%S.%f")[:-3],
            seen.kind,
            seen.device_id if seen.witness_id == seen.device_id else f"{seen.device_id} on {seen.witness_id}",
            f"{seen.score:.2f}",
            f"{claim.weight:.2f}",
            f"{claim.distance_m:.0f} m",
            f"{claim.age_s:.1f} s",
            _part(claim),
            ", ".join(map(str, claim.stories)),
        )
    return table


def versions_table(found: Sequence[Version], zone: ZoneInfo) -> Table:
    """Return a row a rule set."""
    table = Table(whole("version"), "", "valid from", "rules", "published", "by", "note", box=SIMPLE_HEAD)
    for one in found:
        table.add_row(
            one.version,
            one.state,
            "" if one.valid_from_ms is None else local_time(one.valid_from_ms, zone),
            str(one.rules),
            "the city's folder" if one.published_ms is None else local_time(one.published_ms, zone),
            one.publisher,
            one.note,
        )
    return table


def comparison_table(kinds: Sequence[KindComparison], against: str) -> Table:
    """Return a row a kind: the live rules and the others."""
    table = Table("kind", title=f"against {against}", title_justify="left")
    for heading in (against, "live: detected", "false", "median s", "other: detected", "false", "median s"):
        table.add_column(heading, justify="right")
    for one in kinds:
        table.add_row(one.kind, str(one.truths), *_figures(one.live, one.truths), *_figures(one.other, one.truths))
    return table


def _figures(one: RulesFigures, truths: int) -> tuple[str, str, str]:
    share = f" ({one.detected / truths:.0%})" if truths else ""
    return f"{one.detected}{share}", str(one.false), "" if one.median_s is None else f"{one.median_s:.1f}"


def _part(claim: ListedClaim) -> str:
    words = f"explained by {claim.by}" if claim.part is Part.EXPLAINED else str(claim.part)
    return f"{words}, {claim.late_s:.0f} s late" if claim.is_late else words
