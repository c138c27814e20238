"""The macros of Grafana's ClickHouse data source, expanded as its documentation says, for questions without Grafana.

Source: the plugin's manual, "Query editor: macros" and "Template variables".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from schemas.errors import UsageError


@dataclass(frozen=True, slots=True)
class Span:
    """What a dashboard looks at: UTC epoch seconds, both included, and the length of a bucket."""

    from_s: int
    to_s: int
    interval_s: int


_EXPANSIONS: Final[dict[str, Callable[[Span, str], str]]] = {
    "timeFilter": lambda span, column: f"{column} >= {_at(span.from_s)} AND {column} <= {_at(span.to_s)}",
    "timeInterval": lambda span, column: (
        f"toStartOfInterval(toDateTime({column}), INTERVAL {max(1, span.interval_s)} second)"
    ),
    "fromTime": lambda span, _: _at(span.from_s),
    "toTime": lambda span, _: _at(span.to_s),
    "interval_s": lambda span, _: str(max(1, span.interval_s)),
}
_MACRO: Final = re.compile(r"\$__(\w+)(?:\((\w+)\))?")
_CONDITIONAL: Final = re.compile(r"\$__conditionalAll\((.*?), \$\w+\) *$", re.MULTILINE)
_VARIABLE: Final = re.compile(r"\$\{(\w+):singlequote\}")


def expand(sql: str, span: Span) -> str:
    """Return the statement that reaches ClickHouse when every variable says All. Raises UsageError for a macro unknown.

    A macro takes one plain column and $__conditionalAll ends its line: what needs more is for the plugin alone to know.
    """
    sql = _CONDITIONAL.sub("1=1", sql)
    left = _VARIABLE.search(sql)
    if left is not None:
        raise UsageError(f"the variable {left[1]} stands outside of $__conditionalAll")

    def expanded(match: re.Match[str]) -> str:
        name, column = match[1], match[2] or ""
        if name not in _EXPANSIONS:
            raise UsageError(f"$__{name} is not a macro that cityops knows: {', '.join(_EXPANSIONS)}")
        return _EXPANSIONS[name](span, column)

    return _MACRO.sub(expanded, sql)


def _at(at_s: int) -> str:
    return f"toDateTime({at_s})"
