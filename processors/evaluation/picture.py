"""Pictures of an evaluation, as SVG: what is detected by kind, and how that falls as the city gets harder to read."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from processors.evaluation.tally import KindTally

MET: Final = "#1f6f78"
NOT_MET: Final = "#b3432b"
INK: Final = "#333333"
FAINT: Final = "#d5dae0"
FONT: Final = 'font-family="system-ui, sans-serif"'
ROW: Final = 22
LABEL: Final = 170
WIDE: Final = 460

CELL_WIDE: Final = 200
CELL_HIGH: Final = 130
COLUMNS: Final = 4
PAD: Final = 34


def detected_picture(kinds: Sequence[KindTally]) -> str:
    """Return a row a kind: the share detected, its interval, and a mark at what must be reached."""
    high = ROW * len(kinds) + 40
    parts = [_line(LABEL + WIDE * tenth / 10, 20, LABEL + WIDE * tenth / 10, high - 20, FAINT) for tenth in range(11)]
    parts += [_text(LABEL + WIDE * tenth / 10, high - 4, f"{tenth * 10} %", "middle") for tenth in (0, 5, 10)]
    for row, one in enumerate(kinds):
        y = 20 + ROW * row + ROW / 2
        colour = MET if one.met else NOT_MET
        share = one.detected
        parts.append(_text(LABEL - 8, y + 4, one.kind, "end"))
        parts.append(
            f'<rect x="{LABEL}" y="{y - 7:.1f}" width="{WIDE * share.value:.1f}" height="14" fill="{colour}"/>'
        )  # fmt: skip
        parts.append(_line(LABEL + WIDE * share.low, y, LABEL + WIDE * share.high, y, INK, 2))
        mark = LABEL + WIDE * one.target.share
        parts.append(_line(mark, y - 9, mark, y + 9, INK, 1))
        parts.append(_text(LABEL + WIDE + 8, y + 4, f"{share.value:.1%} of {share.of}", "start"))
    return _svg(LABEL + WIDE + 120, high, parts)


def curve_picture(by_difficulty: Mapping[float, Sequence[KindTally]]) -> str:
    """Return a small chart a kind: the share detected over the difficulty, with its interval."""
    difficulties = sorted(by_difficulty)
    of_kind = {
        difficulty: {one.kind: one for one in kinds if one.detected.of} for difficulty, kinds in by_difficulty.items()
    }
    names = sorted({name for kinds in of_kind.values() for name in kinds})
    parts: list[str] = []
    for number, name in enumerate(names):
        left, top = CELL_WIDE * (number % COLUMNS) + PAD, CELL_HIGH * (number // COLUMNS) + PAD / 2
        told = [(one, of_kind[one][name]) for one in difficulties if name in of_kind[one]]
        parts += _chart(name, told, difficulties, left, top)
    rows = -(-len(names) // COLUMNS)
    return _svg(CELL_WIDE * min(COLUMNS, max(1, len(names))) + PAD, CELL_HIGH * rows + PAD, parts)


def _chart(
    name: str, told: Sequence[tuple[float, KindTally]], difficulties: Sequence[float], left: float, top: float
) -> list[str]:
    wide, high = CELL_WIDE - PAD - 8, CELL_HIGH - PAD - 8
    least, most = difficulties[0], difficulties[-1]

    def x(difficulty: float) -> float:
        return left + wide * (difficulty - least) / max(1e-9, most - least)

    def y(share: float) -> float:
        return top + 14 + high * (1 - share)

    parts = [_text(left, top + 8, name, "start")]
    for share in (0.0, 0.5, 1.0):
        parts.append(_line(left, y(share), left + wide, y(share), FAINT))
        parts.append(_text(left - 4, y(share) + 3, f"{share:.0%}", "end", 8))
    for end in dict.fromkeys((least, most)):
        parts.append(_text(x(end), y(0.0) + 11, f"{end:g}", "middle", 8))
    for difficulty, one in told:
        parts.append(_line(x(difficulty), y(one.detected.low), x(difficulty), y(one.detected.high), MET, 1))
        parts.append(f'<circle cx="{x(difficulty):.1f}" cy="{y(one.detected.value):.1f}" r="2.2" fill="{MET}"/>')
    points = " ".join(f"{x(difficulty):.1f},{y(one.detected.value):.1f}" for difficulty, one in told)
    return [*parts, f'<polyline points="{points}" fill="none" stroke="{MET}" stroke-width="1.5"/>']


def _svg(wide: float, high: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" width="{wide:g}" {FONT}>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"/>'
    )  # fmt: skip


def _text(x: float, y: float, words: str, anchor: str, size: int = 11) -> str:
    told = escape(words)
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{INK}">{told}</text>'
