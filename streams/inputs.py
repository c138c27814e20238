"""What is given to be read: files, folders, URLs and standard input, packed with gzip or not, cut into messages."""

import gzip
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, BytesIO, FileIO
from itertools import chain
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit, urlunsplit

from processors.sources.contract import MESSAGE_LIMIT, TEXT_LIMIT, Format, Item, Reader, ReadOptions, Refused
from processors.sources.csv_lines import CsvReader
from processors.sources.formats import SUFFIXES, guessed, reader_of
from schemas.errors import UsageError

STDIN: Final = "-"
WHOLE_LIMIT: Final = 268_435_456
"""Bytes of a file or answer that is one message, or that comes from a URL."""

URL_TIMEOUT_S: Final = 30.0
HEAD_BYTES: Final = 65_536
_GZIP: Final = b"\x1f\x8b"
_PRETTY: Final = (b"{", b"[", b"[{")
"""First lines of JSON that is spread over lines: the file is one message."""


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to read. name: as it is shown. size_bytes: None = not known. listed: found in a folder."""

    name: str
    size_bytes: int | None
    listed: bool
    open: Callable[[], BufferedReader]


@dataclass(slots=True)
class MessageCount:
    """How many messages were read, and how many of them held nothing at all."""

    messages: int = 0
    blank: int = 0


class OpenInput:
    """An input whose format is known; iterating reads it once, and counts."""

    def __init__(self, source: Input, form: Format | None, options: ReadOptions) -> None:
        """Open it and tell its format. Raises UsageError in one sentence: unreadable, empty, or an unknown format."""
        self.name = source.name
        self.count = MessageCount()
        self._raw = source.open()
        try:
            self._stream = _unpacked(self._raw)
            first, head = _head(self._stream)
            self.form = form or _form_of(source.name, head, options)
            if self.form is Format.CSV:
                header, first = first or self._stream.readline(MESSAGE_LIMIT), b""
                self.reader: Reader = reader_of(self.form, options, source.name, _header(source.name, header))
            else:
                self.reader = reader_of(self.form, options, source.name)
        except OSError as error:
            raise UsageError(f"{source.name} cannot be read: {error.strerror or error}") from error
        except (EOFError, zlib.error) as error:
            raise UsageError(f"{source.name} cannot be read: {error}") from error
        self._first = first
        self._line = 2 if self.form is Format.CSV else 1
        self._whole = self.form is Format.GTFS_RT or (
            self.form is not Format.CSV and (first or head).lstrip().partition(b"\n")[0].strip() in _PRETTY
        )

    @property
    def csv(self) -> CsvReader | None:
        """Return how a CSV file is read; None for another format."""
        return self.reader if isinstance(self.reader, CsvReader) else None

    @property
    def read_bytes(self) -> int:
        """Return how much of a file has been read, 0 where that cannot be told."""
        return self._raw.tell() if self._raw.seekable() else 0

    def __iter__(self) -> Iterator[Item]:
        """Read it to its end. Raises UsageError when it is damaged or, as one message, too large."""
        try:
            yield from self._one_message() if self._whole else self._lines()
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{self.name} cannot be read behind message {self.count.messages}: {error}") from error
        finally:
            self._raw.close()

    def _one_message(self) -> Iterator[Item]:
        message = self._first + self._stream.read(WHOLE_LIMIT + 1)
        if len(message) > WHOLE_LIMIT:
            raise UsageError(f"{self.name} is one message of more than {WHOLE_LIMIT >> 20} MiB")
        yield from self._read(message, 1)

    def _lines(self) -> Iterator[Item]:
        lines = iter(lambda: self._stream.readline(MESSAGE_LIMIT + 1), b"")
        number = self._line
        for line in chain([self._first] if self._first else [], lines):
            if len(line) > MESSAGE_LIMIT:
                self.count.messages += 1
                self._skip_line(line)
                shown = line[:TEXT_LIMIT].decode("utf-8", "replace")
                yield Refused(self.name, number, (f"longer than {MESSAGE_LIMIT >> 20} MiB",), shown)
            else:
                yield from self._read(line, number)
            number += 1

    def _read(self, message: bytes, number: int) -> Iterator[Item]:
        self.count.messages += 1
        held = False
        for item in self.reader.read(message, self.name, number):
            held = True
            yield item
        self.count.blank += not held

    def _skip_line(self, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = self._stream.readline(MESSAGE_LIMIT)


def inputs_of(given: Sequence[str | Path]) -> list[Input]:
    """Return what is to be read, in the order given, files of a folder by name.

    Raises UsageError for a folder without any file that could be read.
    """
    found: list[Input] = []
    for one in map(str, given):
        if one == STDIN:
            found.append(Input("standard input", None, False, _standard_input))
        elif one.startswith(("http://", "https://")):
            found.append(Input(_shown(one), None, False, partial(_fetched, one)))
        elif (scheme := one.partition("://")[0]) != one and not Path(one).exists():
            raise UsageError(f"{scheme}:// is not read: give http://, https://, a file, a folder or -")
        elif Path(one).is_dir():
            found += [_file(path, listed=True) for path in _files(Path(one))]
        else:
            found.append(_file(Path(one), listed=False))
    return found


def _standard_input() -> BufferedReader:
    if sys.stdin is None:  # as under cron, which closes it
        raise UsageError("standard input is closed: there is nothing to read from -")
    return cast(BufferedReader, sys.stdin.buffer)


def _file(path: Path, *, listed: bool) -> Input:
    def opened() -> BufferedReader:
        try:
            return BufferedReader(FileIO(path), HEAD_BYTES)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error

    return Input(str(path), path.stat().st_size if path.is_file() else None, listed, opened)


def _files(folder: Path) -> list[Path]:
    endings = tuple(suffix + packed for suffix in SUFFIXES for packed in ("", ".gz"))
    files = sorted(path for path in folder.rglob("*") if path.name.lower().endswith(endings) and path.is_file())
    if not files:
        raise UsageError(f"{folder} holds no {', '.join(SUFFIXES)} file, packed with gzip or not")
    return files


def _fetched(url: str) -> BufferedReader:
    """Return the body of a URL. Raises UsageError for any answer but a good one."""
    request = urllib.request.Request(url, headers={"User-Agent": "cityops", "Accept": "*/*"})  # noqa: S310 (http alone)
    try:
        with urllib.request.urlopen(request, timeout=URL_TIMEOUT_S) as answer:  # noqa: S310
            body = answer.read(WHOLE_LIMIT + 1)
    except urllib.error.HTTPError as error:
        raise UsageError(f"{_shown(url)} answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UsageError(f"{_shown(url)} cannot be read: {getattr(reason, 'strerror', None) or reason}") from error
    if len(body) > WHOLE_LIMIT:
        raise UsageError(f"{_shown(url)} answers with more than {WHOLE_LIMIT >> 20} MiB")
    return BufferedReader(BytesIO(body), HEAD_BYTES)


def _shown(url: str) -> str:
    """Return a URL without what may be a secret: its query, and a name and password before the host."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _unpacked(raw: BufferedReader) -> BufferedReader:
    """Return the stream, unpacked where it is gzip; both kinds can be peeked into."""
    if raw.peek(2)[:2] != _GZIP:
        return raw
    return BufferedReader(gzip.GzipFile(fileobj=raw), HEAD_BYTES)


def _head(stream: BufferedReader) -> tuple[bytes, bytes]:
    """Return the first line, if it had to be taken from the stream to be seen whole, and the beginning."""
    head = stream.peek(HEAD_BYTES)
    if b"\n" in head or len(head) >= HEAD_BYTES:
        return b"", head
    first = stream.readline(MESSAGE_LIMIT)  # a pipe gives what is there, which may be half a line
    return first, first


def _form_of(name: str, head: bytes, options: ReadOptions) -> Format:
    if not head.strip():
        raise UsageError(f"{name} is empty")
    if options.columns or name.lower().endswith((".csv", ".csv.gz")):
        return Format.CSV  # only CSV has columns to be told
    return guessed(name, head)


def _header(name: str, line: bytes) -> str:
    try:
        header = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text: save it as CSV in UTF-8") from error
    if not header.strip() or "\0" in header:
        raise UsageError(f"{name} does not begin with a line of column names")
    return header.rstrip("\r\n")
