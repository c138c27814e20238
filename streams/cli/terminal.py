"""The terminal: what others wrote (notes, names, answers) is shown as it is, never taken for rich's markup."""

from rich.console import Console


def terminal(*, stderr: bool = False, highlight: bool = True) -> Console:
    """Return a console that takes no text for markup; colours come as styles and Text."""
    return Console(stderr=stderr, highlight=highlight, markup=False, emoji=False)
