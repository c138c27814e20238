"""docs/observations.md lists what rules can weigh: every kind once, and nothing else."""

import re

from processors.observation_kinds import OBSERVATION_KINDS
from streams.settings import PROJECT


def test_the_list_in_the_docs_is_the_list_in_the_code() -> None:
    text = (PROJECT / "docs" / "observations.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    listed = [kind for cell in first_cells for kind in re.findall(r"`([a-z0-9_]+)`", cell)]
    assert sorted(listed) == sorted(OBSERVATION_KINDS)
