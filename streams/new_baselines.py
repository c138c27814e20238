"""New baselines: a worker takes the snapshots that are made while it runs, before the day from which they hold."""

import logging
from pathlib import Path
from typing import Final

from processors.baselines import FOLDER, baselines_of, read_snapshots, snapshot_paths
from processors.city import City
from processors.yaml_files import Mistakes

LOOK_S: Final = 60.0

log = logging.getLogger(__name__)


class NewBaselines:
    """Looks now and then whether a city's folder has other snapshots than before."""

    def __init__(self, city: City, folder: Path) -> None:
        """city: as it was loaded from the folder just now."""
        self._city, self._folder = city, folder / FOLDER
        self._known = self._names()

    async def look(self) -> None:
        """Let the city take what is new; what was removed is forgotten then too. A broken file is logged and left."""
        names = self._names()
        if names <= self._known:
            return
        self._known = names
        mistakes = Mistakes()
        snapshots = read_snapshots(self._folder, mistakes)
        if mistakes.found:
            log.warning("%s: %s; the baselines stay as they were", self._folder, "; ".join(mistakes.found))
            return
        self._city.take_baselines(baselines_of(snapshots))
        log.info("%d baselines, the newest %s", len(snapshots), snapshots[-1].version)

    def _names(self) -> frozenset[str]:
        return frozenset(path.name for path in snapshot_paths(self._folder))
