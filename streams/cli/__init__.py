"""The command line: one module a group of commands."""

import sys

import click

from schemas.errors import UsageError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cityops")
def cli() -> None:
    """Run the event engine of a city's Traffic Operations Centre."""


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and exit status 2."""
    try:
        cli()
    except UsageError as error:
        click.echo(f"cityops: {error}", err=True)
        sys.exit(2)
