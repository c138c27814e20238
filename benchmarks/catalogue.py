"""All variants, in the order in which they are measured and shown."""

from benchmarks.runs import Runs
from benchmarks.same_task.logs import Logs, OnProgress
from benchmarks.same_task.variants import FULL, QUICK, same_task_variants
from benchmarks.variant import Variant
from benchmarks.whole_engine import engine_variants
from streams.session import city_of
from streams.settings import Settings


def all_variants(settings: Settings, *, quick: bool, on_progress: OnProgress) -> tuple[Variant, ...]:
    """Return every variant there is; nothing is started or written before `prepare`."""
    size = QUICK if quick else FULL
    same_task = same_task_variants(Logs(settings, size.every, size.vehicles, on_progress), size)
    return *same_task, *engine_variants(Runs(settings, city_of(settings), on_progress), quick=quick)
