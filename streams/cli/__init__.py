"""The command line: one module a group of commands, loaded when it is asked for."""

import importlib
import logging
import sys
from typing import Final

import click

from schemas.errors import CityopsError, UsageError
from streams.settings import reach_loopback_directly

COMMANDS: Final = {
    "demo": "run",
    "up": "run",
    "worker": "run",
    "simulate": "run",
    "ingest": "ingest",
    "stack": "stack",
    "doctor": "doctor",
    "topics": "topics",
    "incidents": "incidents",
    "rejected": "rejected",
    "replay": "replay",
    "estate": "estate",
    "sources": "sources",
    "subscribe": "alerts",
    "subscriptions": "alerts",
    "alerts": "alerts",
    "city": "city",
    "rules": "rules",
    "baselines": "baselines",
    "evaluate": "evaluate",
    "sql": "sql",
    "bench": "bench",
    "grafana": "grafana",
}
"""Command -> module of this package."""

WRONG_USE: Final = 2
INTERRUPTED: Final = 130


class _Commands(click.Group):
    """Knows the commands by name and imports one when it is needed: `cityops --help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, the most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, or None for a name that is none."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"streams.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cityops")
def cli() -> None:
    """Run the event engine of a city's Traffic Operations Centre.

    \b
    Start with:
      cityops demo
    """


def main() -> None:
    """Run the command line; a mistake or a missing server ends in one sentence, never in a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters comes back as an error, in one sentence
    reach_loopback_directly()
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except UsageError as error:
        click.echo(f"cityops: {error}", err=True)
        sys.exit(WRONG_USE)
    except (CityopsError, OSError) as error:  # an OSError names its file: no space, no permission, no such folder
        click.echo(f"cityops: {error}", err=True)
        sys.exit(1)
