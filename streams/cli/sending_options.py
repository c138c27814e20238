"""Options of the commands that send records: singly or in frames, and how they are packed for Kafka."""

from collections.abc import Callable
from typing import Any

import click


def sending_options(linger_ms: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds them to a command: frames, frame_rows, frame_ms, compression, linger_ms."""
    options = (
        click.option("--frames", is_flag=True, help="Positions in columnar frames, on vehicle.frames.v1."),
        click.option(
            "--frame-rows", default=500, show_default=True, type=click.IntRange(1, 20_000), help="In a frame at most."
        ),
        click.option(
            "--frame-ms", default=250, show_default=True, type=click.IntRange(1, 60_000), help="A frame waits so long."
        ),
        click.option("--compression", default="lz4", show_default=True, type=click.Choice(["lz4", "zstd"])),
        click.option(
            "--linger-ms",
            default=linger_ms,
            show_default=True,
            type=click.IntRange(0, 60_000),
            help="So long Kafka's client gathers a batch.",
        ),
    )

    def added(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return added
