"""Times as sources write them, in epoch milliseconds; a text with two meanings is refused."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NO_TIME: Final = "at {!r} is not a time: write ISO 8601, or epoch seconds or milliseconds"
_SECONDS: Final = range(10**9, 10**10)
_MILLISECONDS: Final = range(10**12, 10**13)
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_DIGITS_OF_TIME: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)")
_YEAR_LAST: Final = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b")


def read_time(text: str, zone: tzinfo | None) -> int:
    """Return epoch milliseconds of ISO 8601, epoch seconds or milliseconds, or another form with one meaning.

    zone: for times without an offset; None = they are refused. Raises ValueError with the reason in words.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text) and not _DIGITS_OF_TIME.fullmatch(text):
        return epoch_ms(float(text))
    moment = _moment(text)
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError(f"at {text[:60]!r} has no offset from UTC: give --time-zone")
        moment = _in_zone(moment, zone, text)
    return (moment - _EPOCH) // _MILLISECOND


def epoch_ms(value: float) -> int:
    """Return epoch milliseconds of epoch seconds or milliseconds.

    Raises ValueError for what is neither, in the years 2001 to 2286.
    """
    if _SECONDS.start <= value < _SECONDS.stop:
        return round(value * 1000)
    if _MILLISECONDS.start <= value < _MILLISECONDS.stop:
        return int(value)
    raise ValueError(f"at {value:.15g} is neither epoch seconds nor milliseconds (2001 to 2286)")


def _moment(text: str) -> datetime:
    """Read a date and time of day; naive when the text has no offset."""
    if digits := _DIGITS_OF_TIME.fullmatch(text):
        text = "{}-{}-{}T{}:{}:{}".format(*digits.groups())
    if _YEAR_LAST.match(text):
        raise ValueError(f"at {text[:60]!r} could be day or month first: write the year first")
    plain = re.sub(r"\s*(UTC|GMT)$", "+00:00", text)
    plain = re.sub(r"^(\d{4})/(\d\d)/(\d\d)", r"\1-\2-\3", plain)
    if re.fullmatch(r"\d{4}-?\d\d-?\d\d", plain):
        raise ValueError(f"at {text!r} has no time of day")
    try:
        return datetime.fromisoformat(plain)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)  # RFC 5322, with the month's name
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise ValueError(_NO_TIME.format(text[:60])) from error


def _in_zone(moment: datetime, zone: tzinfo, text: str) -> datetime:
    """Place a local time; one that the clock skipped or showed twice has no single meaning and is refused."""
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    skipped = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment
    what = "was skipped" if skipped else "came twice"
    raise ValueError(f"at {text!r} {what} when the clocks of {zone} changed: write it with its offset")
