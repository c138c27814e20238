"""Tells where the page is and, for somebody at a screen, opens it."""

import webbrowser

from rich.console import Console

from streams.settings import Settings, in_ci


def tell_page(settings: Settings, console: Console, *, open_it: bool = False) -> None:
    """Print the page's address; with `open_it` also show it in the browser, where there are a screen and a person."""
    with_token = " · open it once as /?token=TOKEN" if settings.web_token else ""
    console.print(f"page {settings.web_url}/{with_token}", soft_wrap=True)
    if open_it and console.is_terminal and not in_ci() and not settings.web_token:
        _open(settings.web_url)


def _open(url: str) -> None:
    """Open a window; a browser that would take this terminal is not wanted."""
    try:
        browser = webbrowser.get()
        takes_terminal = type(browser) is webbrowser.GenericBrowser
        if not takes_terminal:
            browser.open(url)
    except webbrowser.Error:
        return
