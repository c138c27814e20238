"""Mends the tokens of a plain MergeTree after a kill: a token whose part was never added would swallow the resend.

An insert appends its token to the table's deduplication log and only then renames its part into place. A kill between
the two leaves a token that promises rows which are not there (ClickHouse 26.9, MergeTreeSink::commitPart; a replicated
table does both in one transaction of Keeper). The log is text, a line an event: 1 (added) or 2 (dropped), part, token.
"""

import fcntl
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

_PART: Final = re.compile(r"(.+)_(\d+)_(\d+)_\d+(?:_\d+)?")
_ADDED: Final = "1"

Spans = dict[str, list[tuple[int, int]]]
"""Partition -> first and last block number of each of its parts."""


def forget_orphans(folder: Path) -> int:
    """Drop the tokens without rows from every table of an embedded server's folder; return how many there were.

    Does nothing while a server holds the folder, so call it just before one starts.
    """
    store = folder / "store"
    if not (store / "status").exists():
        return 0
    with (store / "status").open("rb") as status:
        try:
            fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the lock that the server itself takes
        except OSError:
            return 0
        return sum(_mend(log) for log in sorted(store.glob("store/*/*/deduplication_logs/deduplication_log_*.txt")))


def _mend(log: Path) -> int:
    spans = _spans(log.parent.parent)
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not _is_orphan(line, spans)]
    if len(kept) < len(lines):
        mended = log.with_suffix(".mended")
        mended.write_text("".join(kept), encoding="utf-8")
        mended.replace(log)
    return len(lines) - len(kept)


def _spans(table: Path) -> Spans:
    spans: Spans = defaultdict(list)
    for part in table.iterdir():
        named = _PART.fullmatch(part.name)
        if named and not part.name.startswith("tmp"):
            spans[named[1]].append((int(named[2]), int(named[3])))
    return spans


def _is_orphan(line: str, spans: Spans) -> bool:
    fields = line.rstrip("\n").split("\t")
    named = _PART.fullmatch(fields[1]) if len(fields) == 3 and fields[0] == _ADDED else None
    if named is None:
        return False
    first, last = int(named[2]), int(named[3])
    return not any(low <= first and last <= high for low, high in spans.get(named[1], ()))
