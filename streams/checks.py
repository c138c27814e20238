"""What `cityops doctor` says of one thing: whether it is well and, where it is not, the remedy in a sentence."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it is; a problem keeps cityops from working, a warning may do so later."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; remedy: what to do, "" where nothing is to be done."""

    name: str
    verdict: Verdict
    said: str
    remedy: str = ""


def ok(name: str, said: str) -> Check:
    """Say that it is well."""
    return Check(name, Verdict.OK, said)


def warning(name: str, said: str, remedy: str) -> Check:
    """Say that it may go wrong later."""
    return Check(name, Verdict.WARNING, said, remedy)


def problem(name: str, said: str, remedy: str) -> Check:
    """Say that it keeps cityops from working."""
    return Check(name, Verdict.PROBLEM, said, remedy)
