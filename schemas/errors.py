"""Everything that can go wrong with a record, and what follows.

Rejected        the record is parked on records.rejected.v1 with its reason and its original bytes.
Retryable       a dependency is not there now: wait `retry_after_s` and try again in place, never park.
UsageError      a user's mistake: one clear sentence that says what to do, exit status 2, never a traceback.
anything else   a bug: the worker drops the state it touched, goes back to the checkpoint and tries once more.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a record was rejected; the order is the order in which they are looked for."""

    NULL_VALUE = "null_value"
    NOT_AVRO = "not_avro"
    UNKNOWN_SCHEMA_ID = "unknown_schema_id"
    WRONG_RECORD = "wrong_record"
    BAD_ID = "bad_id"
    BAD_RULES = "bad_rules"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    NULL_ISLAND = "null_island"
    UNPLACED = "unplaced"
    OUT_OF_CITY = "out_of_city"
    FUTURE = "future"
    LATE = "late"
    CONFLICT = "conflict"


class CityopsError(Exception):
    """Base of every error that cityops raises on purpose."""


class Rejected(CityopsError):
    """A record is refused: park it with `reason` and every mistake found, in words."""

    def __init__(self, reason: Reason, errors: tuple[str, ...]) -> None:
        super().__init__(f"{reason}: {'; '.join(errors)}")
        self.reason = reason
        self.errors = errors


class Retryable(CityopsError):
    """A dependency is not there now; wait `retry_after_s` seconds and try again."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UsageError(CityopsError):
    """A user's mistake, told in one sentence that says what to do."""
