"""What the stack does with files and processes, without starting it."""

import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from schemas.errors import UsageError
from sinks.ports import free_port
from streams.stack.downloads import REGISTRY_JAR, Jar, is_whole_tar, kept_jars
from streams.stack.kafka import mend
from streams.stack.parts import listens
from streams.stack.state import PartState, Phase, Ports, ProcessMark, StackState, end_stale, mark_of, read_state

META = "version=1\ncluster.id=abc\ndirectory.id=def\nnode.id=1\n"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def state_with(mark: ProcessMark) -> StackState:
    return StackState(None, Ports(1, 2, 3, 4, 5), "", "", "", (PartState("kafka", Phase.READY, 1, mark, 0),))


def formatted(folder: Path) -> Path:
    folder.mkdir()
    (folder / "meta.properties").write_text(META, encoding="utf-8")
    folder.with_name("kafka-meta.properties").write_text(META, encoding="utf-8")
    (folder / "__cluster_metadata-0").mkdir()
    return folder


def test_stale_child_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    mark = mark_of(sleeper.pid, (sys.executable, "-c", "import time; time.sleep(60)"))
    assert end_stale(state_with(mark)) == ["kafka"]
    assert mark.process() is None
    assert end_stale(state_with(mark)) == []


def test_pid_that_went_to_another_program_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    mark = mark_of(sleeper.pid, (sys.executable, "-c", "import time; time.sleep(60)"))
    for other in (
        replace(mark, started_at_s=mark.started_at_s - 3600),
        replace(mark, command=("java", "kafka.Kafka")),
    ):
        assert end_stale(state_with(other)) == []
    time.sleep(0.1)
    assert sleeper.poll() is None


def test_state_file_that_is_cut_short_counts_as_none(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "stack.json").write_text('{"supervisor": {"pid": 1', encoding="utf-8")
    assert read_state(tmp_path) is None


def test_formatted_folder_is_kept(tmp_path: Path) -> None:
    folder = formatted(tmp_path / "kafka")
    assert mend(folder)
    assert (folder / "__cluster_metadata-0").exists()


@pytest.mark.parametrize("left", ["", "version=1\ncluster.id=ab", None])
def test_folder_that_lost_its_meta_gets_it_back(tmp_path: Path, left: str | None) -> None:
    folder = formatted(tmp_path / "kafka")
    meta = folder / "meta.properties"
    meta.unlink()
    if left is not None:
        meta.write_text(left, encoding="utf-8")
    assert mend(folder)
    assert meta.read_text(encoding="utf-8") == META


@pytest.mark.parametrize("left", ["", META])
def test_folder_whose_format_was_interrupted_is_formatted_again(tmp_path: Path, left: str) -> None:
    folder = tmp_path / "kafka"
    folder.mkdir()
    (folder / "meta.properties").write_text(left, encoding="utf-8")
    assert not mend(folder)
    assert not folder.exists()


def test_records_of_unknown_origin_are_never_removed(tmp_path: Path) -> None:
    folder = tmp_path / "kafka"
    (folder / "vehicle.positions.v1-0").mkdir(parents=True)
    with pytest.raises(UsageError, match="put back its meta"):
        mend(folder)
    assert (folder / "vehicle.positions.v1-0").exists()


def test_jars_count_only_while_every_one_is_whole(tmp_path: Path) -> None:
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"12345")
    listing = tmp_path / "kafka-jars.json"
    assert kept_jars(listing) == ()
    listing.write_bytes(msgspec.json.encode([Jar(str(jar), 5)]))
    assert kept_jars(listing) == (jar,)
    jar.write_bytes(b"123")
    assert kept_jars(listing) == ()


def test_archive_cut_short_is_noticed(tmp_path: Path) -> None:
    content = tmp_path / REGISTRY_JAR
    content.write_bytes(bytes(range(256)) * 2000)
    archive = tmp_path / "registry.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(content, REGISTRY_JAR)
    assert is_whole_tar(archive)
    archive.write_bytes(archive.read_bytes()[:-500])
    assert not is_whole_tar(archive)


def test_port_is_kept_while_it_is_free() -> None:
    port = free_port()
    assert free_port(port) == port
    assert not listens(port)
    with socket.create_server(("127.0.0.1", port)):
        assert listens(port)
        assert free_port(port) != port
