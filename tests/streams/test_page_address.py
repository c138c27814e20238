"""The page opens for somebody at a screen, and for nobody else."""

import io
import webbrowser
from dataclasses import replace

import pytest
from rich.console import Console

from streams.page_address import tell_page
from streams.settings import Settings

URL = "http://127.0.0.1:6066"


class Screen(webbrowser.BackgroundBrowser):
    """A browser that only notes what it was to show."""

    shown: list[str]

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        self.shown.append(url)
        return True


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    screen = Screen("a-browser")
    screen.shown = []
    monkeypatch.setattr(webbrowser, "get", lambda: screen)
    monkeypatch.delenv("CI", raising=False)
    return screen.shown


def told(settings: Settings, *, terminal: bool = True, open_it: bool = True) -> str:
    out = io.StringIO()
    tell_page(settings, Console(file=out, force_terminal=terminal, color_system=None), open_it=open_it)
    return out.getvalue()


def test_on_a_terminal_it_is_opened(stackless: Settings, shown: list[str]) -> None:
    assert f"page {URL}/" in told(replace(stackless, web_port=6066))
    assert shown == [URL]


def test_it_is_only_told_where_nobody_could_look(
    stackless: Settings, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(stackless, web_port=6066)
    assert URL in told(settings, terminal=False)
    assert URL in told(settings, open_it=False)
    with_token = told(replace(settings, web_token="0123456789abcdef"))
    assert "/?token=TOKEN" in with_token
    assert "0123456789abcdef" not in with_token
    monkeypatch.setenv("CI", "true")
    assert URL in told(settings)
    monkeypatch.delenv("CI")
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("lynx"))  # it would take the terminal
    assert URL in told(settings)
    assert shown == []
