"""What a gathering of transit lines is: it reads the ledger of passages, and derives what passages can change alone."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from processors.city import City
from processors.gatherings.contract import Derived, Gathering
from processors.gatherings.line_ledger import LineLedger, Reader
from processors.gatherings.schedules import Schedules
from schemas.records import Observation


class Book(Reader, Protocol):
    """What a gathering has derived from a ledger."""

    def wake_ms(self) -> int:
        """Return the first tick at which something counts though nothing came."""
        ...

    def derive(self, tick_ms: int, oldest_ms: int) -> list[Observation]:
        """Return what is new up to a tick and what is said no longer, both not older than a time, in their order."""
        ...

    def forget(self, oldest_ms: int) -> None:
        """Let go what was said of before a time."""
        ...

    def derive_all(self, ledger: LineLedger) -> Iterable[Derived]:
        """Return everything that follows, whenever it counts."""
        ...

    def open(self, ledger: LineLedger) -> None:
        """Read a ledger from now on."""
        ...


@runtime_checkable
class LineGathering(Gathering, Protocol):
    """A gathering whose claims are passages of stops and what was claimed of their vehicles."""

    @property
    def city(self) -> City:
        """Return the city whose lines it knows."""
        ...

    def schedules(self) -> Schedules:
        """Return the schedules of its city."""
        ...

    def book(self) -> Book:
        """Return an empty book."""
        ...


def derive_from(gathering: LineGathering, claims: Sequence[Observation]) -> Iterable[Derived]:
    """Return everything that follows from claims."""
    book = gathering.book()
    ledger = LineLedger(gathering.schedules(), (book,))
    book.open(ledger)
    for one in claims:
        ledger.add(one)
    return book.derive_all(ledger)
