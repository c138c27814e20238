"""The list of formats: the reader of each, whether it goes line by line, and how one is told by its content."""

import re
from typing import Final

from processors.sources.contract import Format, Reader, ReadOptions
from processors.sources.csv_lines import CsvReader
from processors.sources.deepstream import DeepstreamReader
from processors.sources.frigate import FrigateReader
from processors.sources.gtfs_realtime import GtfsRealtimeReader
from processors.sources.own_records import OwnRecordReader
from processors.sources.ufms import UfmsReader
from schemas.errors import UsageError

SUFFIXES: Final = (".csv", ".json", ".jsonl", ".ndjson", ".pb", ".pbf", ".bin")
"""Endings of files that are read from a folder, with .gz behind them or not."""

_KEY: Final = re.compile(rb'"([^"\\]{1,40})"\s*:')
_FEED: Final = re.compile(rb"\n.\n.[12]\.\d", re.DOTALL)
"""A feed begins with its header, and that with the version."""

_TOLD_BY: Final = (
    (Format.DEEPSTREAM, (b"mdsversion",)),
    (Format.DEEPSTREAM, (b"sensorId", b"objects")),
    (Format.GTFS_RT, (b"header", b"entity")),
    (Format.FRIGATE, (b"type", b"before", b"after")),
    (Format.UFMS, (b"msgType",)),
    (Format.UFMS, (b"vehicle", b"datetime", b"x", b"y")),
    (Format.JSONL, (b"at_ms",)),
)
"""Format and the keys by which its JSON is told; the first that fits."""


def reader_of(form: Format, options: ReadOptions, path: str, header_line: str = "") -> "Reader":
    """Return the reader of a format; header_line: the first line of a CSV file.

    Raises UsageError for CSV whose columns are not understood, listing them.
    """
    match form:
        case Format.CSV:
            return CsvReader(path, header_line, options)
        case Format.GTFS_RT:
            return GtfsRealtimeReader()
        case Format.DEEPSTREAM:
            return DeepstreamReader()
        case Format.FRIGATE:
            return FrigateReader()
        case Format.UFMS:
            return UfmsReader()
        case Format.JSONL:
            return OwnRecordReader(options)


def guessed(path: str, head: bytes) -> Format:
    """Tell the format from the beginning of a file. Raises UsageError in one sentence where nothing fits."""
    if _FEED.match(head):
        return Format.GTFS_RT
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"["):
        keys = set(_KEY.findall(text))
        for form, needed in _TOLD_BY:
            if keys.issuperset(needed):
                return form
        shown = ", ".join(sorted(key.decode("utf-8", "replace") for key in keys)[:12])
        raise UsageError(f"{path} is JSON of an unknown format (its keys: {shown}): say it with --format")
    first = text.partition(b"\n")[0]
    if b"\0" not in first and any(mark in first for mark in b",;\t|"):
        return Format.CSV
    raise UsageError(f"{path} begins like no known format: say which it is with --format ({', '.join(Format)})")
