"""Commands as a user gives them, and one demo that several tests look at."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from streams.settings import PROJECT, Settings


@dataclass(frozen=True, slots=True)
class FinishedDemo:
    """A bounded demo that ended well: settings of its run, its report as JSON, and what it printed."""

    settings: Settings
    report: str
    output: str


def cityops(*arguments: str, stack: Settings | None = None, home: Path | None = None) -> subprocess.Popen[str]:
    """Start one command, on the tests' stack or in a home of its own."""
    addresses = {}
    if stack is not None:
        home = stack.home
        addresses = {
            "KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
            "SCHEMA_REGISTRY_URL": stack.schema_registry_url,
            "CLICKHOUSE_URL": stack.clickhouse_url,
        }
    return subprocess.Popen(
        [sys.executable, "-c", "from streams.cli import main; main()", *arguments],
        env={**os.environ, **addresses, "CITYOPS_HOME": str(home), "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=PROJECT,
    )


def finished(process: subprocess.Popen[str], timeout_s: float) -> str:
    """Return what it printed; it must end well."""
    output, _ = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, output
    return output
