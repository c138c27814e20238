"""`cityops ingest`: messages of others into the live topics, as they come. It only sends: the engine judges."""

import csv
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn

from processors.recorded import sort_of
from processors.sources.contract import Format, Found, Item, LeftOut, ReadOptions, Refused
from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import DeviceKind, DeviceRegistration
from streams.estate import now_ms, read_registry, send_registrations
from streams.inputs import OpenInput, inputs_of
from streams.recorded import placed_ids, refused_path, without_place
from streams.sending import SINGLY, RecordSender, SendingRule
from streams.settings import Settings

SHOWN_REFUSED: Final = 5
SILENT_S: Final = 3.0
"""After so long without an acknowledgement one is told that Kafka is waited for."""

LOOK_S: Final = 0.5
SHOW_S: Final = 0.1
CLOSE_S: Final = 5.0
"""How long Ctrl-C waits for what is on its way."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """What the user asked for. form: None = told by content. sending: how it goes to Kafka."""

    inputs: tuple[str, ...]
    form: Format | None
    reading: ReadOptions
    placement: Sequence[DeviceRegistration]
    sending: SendingRule = SINGLY


@dataclass(slots=True)
class IngestSummary:
    """What was read and sent; records = acknowledged, unless Kafka did not take all before the end.

    skipped: files of folders that are not understood. late: records older than the lateness bound, which the engine
    will refuse. found: what the records are.
    refused_in: the file that holds every refused message.
    """

    inputs: int = 0
    skipped: int = 0
    messages: int = 0
    blank: int = 0
    records: int = 0
    acknowledged: int = 0
    refused: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    placed: int = 0
    late: int = 0
    seconds: float = 0.0
    refused_in: str = ""
    interrupted: bool = False

    def as_json(self) -> Mapping[str, Any]:
        """Return it as a JSON object."""
        names = [name for name in self.__slots__ if name not in ("left_out", "found")]
        return {**{name: getattr(self, name) for name in names}, "left_out": self.left_out, "found": self.found}

    def in_words(self) -> Iterator[str]:
        """Say it in a few lines."""
        rate = f"{self.records / self.seconds:,.0f} a second" if self.seconds > 0 else ""
        listed = "".join(f", {what} {count:,}" for what, count in self.found.most_common(8))
        yield (
            f"{self.messages - self.blank:,} messages of {self.inputs:,} inputs: {self.records:,} records, "
            f"{self.refused:,} refused, {self.left_out.total():,} left out"
        )
        if self.placed:
            yield f"{self.placed:,} devices placed"
        yield f"sent {self.records:,}, acknowledged {self.acknowledged:,} in {self.seconds:.1f} s ({rate}){listed}"
        for reason, count in self.left_out.most_common():
            yield f"left out {count:,} times: {reason}"
        if self.refused:
            yield f"refused messages are in {self.refused_in}"
        if self.late:
            yield f"{self.late:,} records are older than the lateness bound: the engine refuses them, late or worse"


def run_ingest(settings: Settings, codec: Codec, options: IngestOptions, console: Console) -> IngestSummary:
    """Read every input and send what it holds, until all ends or somebody ends it.

    Returns what was done, also when interrupted. Raises UsageError for an input that cannot be read, after all that
    was read before has been sent.
    """
    summary = IngestSummary(refused_in=str(_refused_file(settings)))
    began_s = time.monotonic()
    if options.placement:
        summary.placed = _place(settings, codec, options.placement)
    sender = RecordSender(settings, codec, rule=options.sending)
    run = _Ingest(settings, options, sender, summary, console)
    try:
        with told_waiting(sender, settings, console), run.refusals:
            try:
                run.read_all()
            except KeyboardInterrupt:
                summary.interrupted = True
            finally:
                sender.close(CLOSE_S if summary.interrupted else None)
    except KeyboardInterrupt:
        summary.interrupted = True
    finally:
        summary.acknowledged = max(0, sender.acknowledged - run.registered)
        summary.seconds = time.monotonic() - began_s
        for words in summary.in_words() if summary.inputs or summary.placed or summary.skipped else ():
            console.print(words, markup=False, soft_wrap=True)
    return summary


class _Ingest:
    """One ingest under way."""

    def __init__(
        self,
        settings: Settings,
        options: IngestOptions,
        sender: RecordSender,
        summary: IngestSummary,
        console: Console,
    ) -> None:
        self.refusals = _Refusals(Path(summary.refused_in))
        self.registered = 0
        self._settings, self._options, self._sender = settings, options, sender
        self._summary, self._console = summary, console
        self._placed = placed_ids(options.placement)
        self._sensors = frozenset(one.device_id for one in options.placement if one.kind is DeviceKind.SENSOR)

    def read_all(self) -> None:
        """Send the placement, then every input in the order given."""
        for one in self._options.placement:
            self.registered += self._sender.register(one)
        with _bars(self._console) as bars:
            for source in inputs_of(self._options.inputs):
                try:
                    opened = OpenInput(source, self._options.form, self._options.reading)
                except UsageError as error:
                    if not source.listed:
                        raise
                    self._summary.skipped += 1
                    self._console.print(f"left out {error}", style="yellow", markup=False, soft_wrap=True)
                    continue
                self._summary.inputs += 1
                self._tell_unit(opened)
                task = bars.add_task(opened.name, total=source.size_bytes, told="")
                try:
                    self._read(
                        opened,
                        lambda told, one=opened, bar=task: bars.update(  # type: ignore[misc]
                            bar, completed=one.read_bytes, told=told
                        ),
                    )
                finally:
                    self._summary.messages += opened.count.messages
                    self._summary.blank += opened.count.blank

    def _tell_unit(self, opened: OpenInput) -> None:
        """Say what the speeds of a CSV are taken for: a wrong unit is a wrong number that looks right."""
        reader = opened.csv
        if reader is None or "speed" not in reader.layout.columns:
            return
        told, style = ("", None) if reader.unit_is_told else (" (nobody stated it: --speed-unit does)", "yellow")
        words = f"speeds of {opened.name} are read as {reader.speed_unit}{told}"
        self._console.print(words, style=style, markup=False, soft_wrap=True)

    def _read(self, opened: OpenInput, show: Callable[[str], None]) -> None:
        before, began_s, shown_s = self._summary.records, time.monotonic(), 0.0
        for item in opened:
            self._take(item)
            now_s = time.monotonic()
            if now_s - shown_s > SHOW_S:
                shown_s = now_s
                records = self._summary.records - before
                show(f"{records:,} records, {records / max(now_s - began_s, SHOW_S):,.0f} a second")

    def _take(self, item: Item) -> None:
        match item:
            case Found():
                self._warn_if_late(item)
                self._sender.send(without_place(item, self._placed).record, self._sensors)
                self._summary.records += 1
                self._summary.found[sort_of(item.record)] += 1
            case Refused():
                if self._summary.refused < SHOWN_REFUSED:
                    words = f"refused: line {item.line} of {item.path}: {'; '.join(item.errors)}"
                    self._console.print(words, style="yellow", markup=False, soft_wrap=True)
                self._summary.refused += 1
                self.refusals.add(item)
            case LeftOut():
                self._summary.left_out[item.reason] += 1

    def _warn_if_late(self, item: Found) -> None:
        age_ms = now_ms() - item.record.at_ms
        if age_ms <= self._settings.lateness_ms:
            return
        self._summary.late += 1
        if self._summary.late == 1:
            moment = datetime.fromtimestamp(item.record.at_ms / 1000, UTC)
            self._console.print(
                f"line {item.line} of {item.path} is of {moment:%Y-%m-%d %H:%M} UTC: records older than "
                f"{self._settings.lateness_ms // 60_000} min will be rejected as late. "
                f"`cityops demo --input {item.path}` runs recorded data, with a clock of its own",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )


class _Refusals:
    """The file of refused messages: made when there is one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> "_Refusals":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, item: Refused) -> None:
        """Write one line: path, line, errors, text."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(("path", "line", "errors", "text"))
        csv.writer(self._file).writerow((item.path, item.line, "; ".join(item.errors), item.text))
        self._file.flush()


def _place(settings: Settings, codec: Codec, placement: Sequence[DeviceRegistration]) -> int:
    """Put devices into the registry unless they stand there just so; return how many were put."""
    known = read_registry(settings, codec)
    news = [
        one
        for one in placement
        if (held := known.get(one.device_id)) is None or replace(held, registered_at_ms=one.registered_at_ms) != one
    ]
    send_registrations(settings, codec, news)
    return len(news)


def _refused_file(settings: Settings) -> Path:
    return refused_path(settings, f"refused-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.csv")


@contextmanager
def told_waiting(sender: RecordSender, settings: Settings, console: Console) -> Iterator[None]:
    """Say when Kafka stops taking records, and when it goes on."""
    stop = threading.Event()

    def watch() -> None:
        waiting = False
        while not stop.wait(LOOK_S):
            if not waiting and sender.silent_s > SILENT_S:
                waiting = True
                console.print(f"Kafka at {settings.kafka_bootstrap_servers} does not answer; waiting", style="yellow")
            elif waiting and sender.silent_s < LOOK_S:
                waiting = False
                console.print("Kafka answers again", style="yellow")

    thread = threading.Thread(target=watch, name="waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _bars(console: Console) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), DownloadColumn()
    return Progress(*columns, TextColumn("{task.fields[told]}"), console=console, transient=True)
