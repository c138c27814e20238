"""Calendars of a city: named sets of days, like school days or the Tết holidays."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days listed, and those of some weekdays (0 = Monday) within spans of days, without the days left out.

    spans: first and last day, both included.
    """

    name: str
    days: frozenset[date] = frozenset()
    spans: tuple[tuple[date, date], ...] = ()
    weekdays: frozenset[int] = frozenset(range(7))
    without: frozenset[date] = frozenset()

    def has(self, day: date) -> bool:
        """Tell whether a local day is one of it."""
        if day in self.days or day in self.without:
            return day in self.days
        return day.weekday() in self.weekdays and any(first <= day <= last for first, last in self.spans)
