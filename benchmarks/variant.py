"""What is measured: a variant works the same log off in every round, and its answer is known before."""

from dataclasses import dataclass
from typing import Protocol

from schemas.errors import CityopsError


class WrongAnswer(CityopsError):
    """A variant's answer is not the expected one: its rate means nothing and is not shown."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One variant in one round, from the first record that it handled to the last, start-up excluded.

    answer: digest of what it computed.
    cpu_s: user and system time of the worker, its threads and children. wall_s: by the clock.
    resident_mb: the most memory the worker held.
    """

    answer: str
    positions: int
    cpu_s: float
    wall_s: float
    resident_mb: float = 0.0


class Variant(Protocol):
    """One way to do the work. A new one goes into benchmarks/catalogue.py."""

    @property
    def name(self) -> str:
        """The name in --json and --only, such as confluent_loop."""

    @property
    def title(self) -> str:
        """What it is, in the words of the table."""

    def absent(self) -> str:
        """Return why it cannot run here, "" when it can."""

    def prepare(self) -> str:
        """Make its log ready, once, before any round; return the answer that it must give."""

    def measure(self, number: int) -> Measured:
        """Work the whole log off in a process of its own; number: the round, from 0."""
