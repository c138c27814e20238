"""What a dashboard is made of, in our own words: variables, panels, queries, units and colours that mean something."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

COLUMNS: Final = 24
"""Grid columns a row of panels has."""


class View(StrEnum):
    """How a panel shows its rows; the values are Grafana's names of its panel types."""

    STAT = "stat"
    TIME_SERIES = "timeseries"
    TABLE = "table"
    BARS = "barchart"
    HEAT_MAP = "heatmap"
    MAP = "geomap"

    @property
    def by_time(self) -> bool:
        """Tell whether the first column has to be the time, the labels after it and one number at the end."""
        return self in (View.TIME_SERIES, View.HEAT_MAP)


class Unit(StrEnum):
    """Units, by Grafana's names."""

    NONE = "short"
    PERCENT = "percent"
    KM_H = "velocitykmh"
    SECONDS = "s"
    PER_SECOND = "suffix:/s"


@dataclass(frozen=True, slots=True)
class Step:
    """From this value on, this colour; None = from the beginning."""

    from_value: float | None
    colour: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Colours by value."""

    steps: tuple[Step, ...]
    names: tuple[tuple[int, str], ...] = ()
    """What to write in place of a value."""


@dataclass(frozen=True, slots=True)
class Column:
    """How one column is shown where it differs from the panel's."""

    name: str
    unit: Unit | None = None
    scale: Scale | None = None
    colours: tuple[tuple[str, str], ...] = ()
    """Text -> colour of its cell."""
    width_px: int | None = None
    hidden: bool = False
    bar_colour: str = ""
    """The colour of its bars or lines."""


@dataclass(frozen=True, slots=True)
class Query:
    """One statement, with the macros of Grafana's ClickHouse data source; what it is for names a map's layer."""

    sql: str
    name: str = ""
    size_px: int = 5
    coloured_by: str = ""
    """A map's column whose scale colours the markers; empty = grey, in the background."""
    labelled_by: str = ""
    """A map's column that is written beside the markers."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. width: of 24; height: of 30 px each."""

    title: str
    about: str
    view: View
    queries: tuple[Query, ...]
    width: int
    height: int
    unit: Unit = Unit.NONE
    decimals: int | None = None
    scale: Scale | None = None
    columns: tuple[Column, ...] = ()
    series: str = ""
    """The column whose text names a series, a bar or a row of cells."""
    interval_s: int = 0
    """The shortest interval of $__timeInterval; 0 = as fine as the screen."""
    span_s: int = 0
    """Looks back so far whatever the dashboard's span; 0 = the dashboard's."""
    stacked: bool = False
    cells: str = "YlOrRd"
    """The colours of a heat map's cells, low to high, by Grafana's names of schemes."""
    legend_table: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard; its statement returns values, or values and what to write for them."""

    name: str
    label: str
    sql: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard: rows of panels from left to right."""

    slug: str
    title: str
    about: str
    variables: tuple[Variable, ...]
    rows: tuple[tuple[Panel, ...], ...]
    span_s: int = 3600
    refresh_s: int = 10

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Return all panels, in reading order."""
        return tuple(panel for row in self.rows for panel in row)
