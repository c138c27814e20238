"""The result as a picture."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.report import Report, machine_line

TITLE = "The same task in many ways (engine: everything that a worker does)"
OURS = "#1f6f78"
OTHERS = "#9aa5b1"


def draw(report: Report, path: Path) -> None:
    """Write a PNG: processor time a position and positions a second, on logarithmic scales."""
    names = list(report.variants)[::-1]
    results = [report.variants[name] for name in names]
    colours = [OURS if name.startswith(("cityops", "engine", "limit")) else OTHERS for name in names]
    figure = Figure(figsize=(11, 1.6 + 0.45 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, title, values, ranges in (
        (
            left,
            "CPU µs a position (less is better)",
            [one.cpu_us for one in results],
            [one.cpu_us_range for one in results],
        ),
        (right, "positions a second", [one.rate_per_s for one in results], [one.rate_per_s_range for one in results]),
    ):
        spread = [
            [value - low for value, (low, _) in zip(values, ranges, strict=True)],
            [high - value for value, (_, high) in zip(values, ranges, strict=True)],
        ]
        bars = axes.barh(names, values, xerr=spread, color=colours, ecolor="#333333", capsize=2)
        axes.bar_label(
            bars, [f"{value:,.0f}" if value >= 100 else f"{value:.2g}" for value in values], padding=6, fontsize=8
        )
        axes.set_xscale("log")
        axes.margins(x=0.25)
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(TITLE, fontsize=12)
    machine = machine_line(report).partition(";")[0]
    figure.supxlabel(f"{machine}; {report.rounds} rounds: median, lowest and highest", fontsize=7)
    figure.savefig(path, dpi=110)
