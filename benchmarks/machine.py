"""What the measurement ran on."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil

PACKAGES: Final = (
    "cityops", "faust-streaming", "aiokafka", "numpy", "fastavro", "uvloop",
    "confluent-kafka", "orjson", "quixstreams", "bytewax",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Machine:
    """Processor, memory and versions; load_1m: what else ran when it began."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    load_1m: float
    packages: dict[str, str]


def this_machine(packages: Sequence[str] = PACKAGES) -> Machine:
    """Describe this machine."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load_1m=round(os.getloadavg()[0], 2),
        packages={name: found for name in packages if (found := _version(name))},
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
