"""A session begins alone: its run and its port."""

import socket
from dataclasses import replace

import pytest
from rich.console import Console

from processors.city import City
from schemas.errors import UsageError
from streams.session import worker_running
from streams.settings import Settings


def test_a_port_that_somebody_has_is_told_before_their_page_is_taken_for_ours(stackless: Settings, city: City) -> None:
    with socket.socket() as theirs:
        theirs.bind(("127.0.0.1", 0))
        theirs.listen()
        taken = replace(stackless, web_port=theirs.getsockname()[1])
        with (
            pytest.raises(UsageError, match=r"Address already in use.*CITYOPS_WEB_PORT"),
            worker_running(taken, city, Console(quiet=True), fresh=False),
        ):
            pass
