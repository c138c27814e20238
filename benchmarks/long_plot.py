"""Memory and lag over time as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.watch import Sample

COLOUR = "#1f6f78"


def draw_samples(samples: Sequence[Sample], title: str, path: Path) -> None:
    """Write a PNG of resident memory, lag and processor time."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(3, 1, sharex=True)
    minutes = [one.after_s / 60 for one in samples]
    for axes, label, values in zip(
        rows,
        ("resident memory, MB", "input messages not worked off", "processor cores"),
        ([one.resident_mb for one in samples], [one.lag for one in samples], [one.cpu_cores for one in samples]),
        strict=True,
    ):
        axes.plot(minutes, values, color=COLOUR, linewidth=1)
        axes.set_ylabel(label, fontsize=8)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    rows[-1].set_xlabel("minutes")
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=110)
