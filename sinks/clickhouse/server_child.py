"""The ClickHouse server's process: `python -I server_child.py FOLDER`, run as a script and never imported.

The extension module is loaded by itself because `import chdb` also imports pandas and opens a database of its own.
The query blocks on standard input, so the end of standard input, also by the parent's death, is a clean stop.
The entry point is undocumented, hence a pinned version (pyproject.toml) and a smoke test (test_clickhouse_server.py).
"""

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

from sinks.clickhouse.orphans import forget_orphans

SERVE = (
    "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; "
    "SELECT count() FROM file('-', LineAsString, 'l String') FORMAT Null"
)


def main(folder: str) -> None:
    """Serve the data of `folder`, which holds config.xml, until standard input ends."""
    package = importlib.util.find_spec("chdb")
    assert package is not None
    assert package.submodule_search_locations is not None
    library = os.path.join(package.submodule_search_locations[0], "_chdb.abi3.so")
    forget_orphans(Path(folder))
    os.chdir(folder)  # the server reads config.xml from the working folder
    loader = importlib.machinery.ExtensionFileLoader("_chdb", library)
    spec = importlib.util.spec_from_loader("_chdb", loader)
    assert spec is not None
    chdb = importlib.util.module_from_spec(spec)
    loader.exec_module(chdb)
    chdb.query(SERVE, "TSV", path=os.path.join(folder, "store"))


if __name__ == "__main__":
    main(sys.argv[1])
