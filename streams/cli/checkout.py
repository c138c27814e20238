"""What only a checkout holds."""

import importlib
import sys
from typing import Any

from schemas.errors import UsageError
from streams.settings import PROJECT


def from_checkout(module: str) -> Any:
    """Return a module of the folder benchmarks, which no wheel carries. Raises UsageError where there is none."""
    if not (PROJECT / "benchmarks" / "command.py").exists():
        raise UsageError("the benchmarks are not installed with cityops: run this in a checkout of it")
    if str(PROJECT) not in sys.path:
        sys.path.insert(0, str(PROJECT))
    return importlib.import_module(f"benchmarks.{module}")
