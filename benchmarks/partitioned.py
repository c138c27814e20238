"""Other numbers of input partitions than the catalogue's, for measurements alone: in use they never change.

`with partitions(16)` in the process that makes the topics; `python -m benchmarks.partitioned 16 -A faust_app worker`
for a worker over them.
"""

import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from streams import topics


@contextmanager
def partitions(count: int) -> Iterator[None]:
    """Let the topics that devices write have so many partitions."""
    before = [(topic, topic.partitions) for topic in topics.OF_DEVICES]
    try:
        for topic, _ in before:
            object.__setattr__(topic, "partitions", count)
        yield
    finally:
        for topic, number in before:
            object.__setattr__(topic, "partitions", number)


def worker_command(count: int) -> list[str]:
    """Return the command of a worker over topics of so many partitions."""
    module = "benchmarks.partitioned"
    return [sys.executable, "-m", module, str(count), "-A", "faust_app", "worker", "-l", "info"]


if __name__ == "__main__":
    _, wanted, *arguments = sys.argv
    sys.argv = ["faust", *arguments]
    with partitions(int(wanted)):
        runpy.run_module("faust", run_name="__main__", alter_sys=False)
