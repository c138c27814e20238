"""The wheel: holds all that a demo needs, and runs one where nothing of the checkout is in reach."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Final

import pytest

from sinks.ports import free_port
from streams.settings import PROJECT, Settings
from streams.workers import environment

TOP_LEVEL: Final = {"streams", "schemas", "processors", "sinks", "cities", "faust_app.py"}
NOT_IN_THE_WHEEL: Final = "streams/page/"
"""Sources of the page: the wheel has what is built from them."""
DEMO: Final = "import streams.cli; print(streams.cli.__file__, flush=True); streams.cli.main()"


def files_of(*folders: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *folders],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (PROJECT / name).exists()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy without what git ignores: nothing that an earlier build left gets in."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in files_of():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / name, copy / name)
    built = PROJECT / "streams" / "page" / "dist"
    if built.is_dir():
        shutil.copytree(built, copy / "streams" / "page" / "dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(copy)]
    subprocess.run(command, check=True)
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        name
        for name in files_of("streams", "schemas", "processors", "sinks", "cities", "faust_app.py")
        if not name.startswith(NOT_IN_THE_WHEEL)
    }
    assert wanted - inside == set()
    assert {name.split("/")[0] for name in inside} == TOP_LEVEL
    assert {name for name in inside - wanted if not name.startswith(f"{NOT_IN_THE_WHEEL}dist/")} == set()


@pytest.mark.stack
def test_a_demo_of_the_wheel_runs_from_anywhere(wheel: Path, stack: Settings, tmp_path: Path) -> None:
    """The wheel in an environment of its own, which borrows the packages it depends on but not the checkout."""
    python, site = tmp_path / "venv" / "bin" / "python", installed(wheel, tmp_path / "venv")
    env = {name: value for name, value in environment(stack).items() if not name.startswith(("PYTHON", "CITYOPS"))}
    env |= {"CITYOPS_HOME": str(tmp_path / "home"), "CITYOPS_WEB_PORT": str(free_port())}
    report = tmp_path / "report.json"
    done = subprocess.run(
        [python, "-c", DEMO, "demo", "--for", "8s", "--run", "wheel", "--report", str(report)],
        cwd="/", env=env, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[0] == str(site / "streams" / "cli" / "__init__.py")
    assert json.loads(report.read_text())["balances"] is True
    assert str(PROJECT / "streams") not in (tmp_path / "home" / "logs" / "worker-wheel.log").read_text()


def installed(wheel: Path, folder: Path) -> Path:
    """Unpack the wheel into a new environment beside links to the packages of this one; return where it is."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for borrowed in Path(sysconfig.get_path("purelib")).iterdir():
        if "cityops" not in borrowed.name and borrowed.suffix != ".pth" and not (site / borrowed.name).exists():
            (site / borrowed.name).symlink_to(borrowed)
    return site
