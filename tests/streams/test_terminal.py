"""Text of others on the terminal: shown as it is."""

from pathlib import Path

import pytest
from rich.table import Table

from streams.cli.terminal import terminal

CLI = Path(__file__).resolve().parent.parent.parent / "streams" / "cli"
OWN_CONSOLES = {"terminal.py", "grafana.py", "inject.py"}
"""grafana.py records what it shows; inject.py wraps softly."""


@pytest.mark.parametrize("text", ["[/nope]", "[bold]x[/bold] [/nope]", "[red]a", ":fire:", "[link=http://x]y[/link]"])
def test_markup_of_others_is_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("note")
    table.add_row(text)
    console = terminal()
    console.print(table)
    console.print(text)
    assert capsys.readouterr().out.count(text) == 2


def test_every_command_uses_that_terminal() -> None:
    found = {path.name for path in CLI.glob("*.py") if " Console(" in path.read_text(encoding="utf-8")}
    assert found <= OWN_CONSOLES
