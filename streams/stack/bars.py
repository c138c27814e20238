"""Progress of a start on a terminal: one bar a download, one line a part."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from streams.stack.downloads import OnProgress, Step


@contextmanager
def shown_on(console: Console | None) -> Iterator[OnProgress]:
    """Give a function that shows each step on the console; without a console nothing is shown."""
    if console is None:
        yield lambda step: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    progress = Progress(*columns, console=console, transient=True)
    bars: dict[str, TaskID] = {}

    def show(step: Step) -> None:
        if step.done_bytes is None:
            console.print(step.text, highlight=False)
            return
        progress.start()  # with the first download: nothing is drawn where there is none
        if step.text not in bars:
            bars[step.text] = progress.add_task(step.text, total=step.total_bytes)
        progress.update(bars[step.text], completed=step.done_bytes, visible=step.done_bytes != step.total_bytes)

    try:
        yield show
    finally:
        if bars:
            progress.stop()
