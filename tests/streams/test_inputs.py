import gzip
import io
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from processors.sources.contract import MESSAGE_LIMIT, Format, Found, Item, ReadOptions, Refused
from schemas.errors import UsageError
from streams.inputs import OpenInput, inputs_of

LINE = b'{"vehicle_id": "v%d", "at_ms": 1772434800000, "latitude_deg": 21.0, "longitude_deg": 105.8}\n'
PRETTY = b'[\n {"vehicle_id": "a", "at_ms": 1772434800000, "latitude_deg": 21.0, "longitude_deg": 105.8}\n]\n'


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/gone"):
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(gzip.compress(LINE % 1 + LINE % 2))

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def opened(*given: str | Path, form: Format | None = None) -> list[OpenInput]:
    return [OpenInput(source, form, ReadOptions()) for source in inputs_of(given)]


def read(*given: str | Path, form: Format | None = None) -> list[Item]:
    return [item for one in opened(*given, form=form) for item in one]


def test_lines_are_numbered_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINE % 1 + b"\n" + b"broken\n" + LINE % 2)
    (one,) = opened(path)
    items = list(one)
    assert one.form is Format.JSONL
    assert [(type(item), item.line) for item in items] == [(Found, 1), (Refused, 3), (Found, 4)]
    assert (one.count.messages, one.count.blank) == (4, 1)


def test_json_spread_over_lines_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(PRETTY))
    (one,) = opened(path)
    assert [type(item) for item in one] == [Found]
    assert one.count.messages == 1


def test_line_that_is_too_long_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINE % 1 + b'{"x": "' + b"y" * (3 * MESSAGE_LIMIT) + b'"}\n' + LINE % 2)
    items = read(path)
    assert [(type(item), item.line) for item in items] == [(Found, 1), (Refused, 2), (Found, 3)]
    assert isinstance(items[1], Refused)
    assert items[1].errors == ("longer than 1 MiB",)


def test_folder_gives_its_readable_files_by_name(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_bytes(LINE % 2)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.ndjson").write_bytes(LINE % 1)
    (tmp_path / "notes.md").write_text("# notes")
    assert [Path(one.name).name for one in opened(tmp_path)] == ["b.jsonl", "a.ndjson"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"holds no \.csv, \.json"):
        inputs_of([tmp_path / "empty"])


def test_url_is_fetched_once_and_unpacked(url: str) -> None:
    items = read(f"{url}/vehicles?key=secret")
    assert [type(item) for item in items] == [Found, Found]
    assert {item.path for item in items} == {f"{url}/vehicles"}, "a key in a URL is shown nowhere"
    with pytest.raises(UsageError, match="/gone answers 404 Not Found"):
        read(f"{url}/gone?key=secret")
    with pytest.raises(UsageError, match="cannot be read"):
        read("http://127.0.0.1:1/nothing")


def test_url_that_answers_too_much_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.inputs.WHOLE_LIMIT", 20)
    with pytest.raises(UsageError, match="answers with more than"):
        read(f"{url}/vehicles")


def test_pipe_is_read_line_by_line_while_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.FileIO(reading))))
    os.write(writing, (LINE % 1)[:30])  # half a line: the format cannot be told yet
    threading.Timer(0.1, os.write, (writing, (LINE % 1)[30:])).start()
    (one,) = opened("-")
    items = iter(one)
    assert isinstance(next(items), Found)
    os.write(writing, LINE % 2)
    assert isinstance(next(items), Found)  # though the pipe stays open
    os.close(writing)
    assert list(items) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"# A title\n", "begins like no known format"),
        (gzip.compress(LINE % 1 * 9999, mtime=0)[:-9], "cannot be read behind message"),
    ],
)
def test_unreadable_input_is_one_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(UsageError, match=told):
        read(tmp_path / "a.jsonl")
    with pytest.raises(UsageError, match=r"nothing\.jsonl cannot be read: No such file or directory$"):
        read(tmp_path / "nothing.jsonl")


def test_a_closed_standard_input_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)  # as under cron
    (source,) = inputs_of(["-"])
    with pytest.raises(UsageError, match="standard input is closed"):
        source.open()


def test_an_unknown_scheme_is_no_file() -> None:
    with pytest.raises(UsageError, match="ftp:// is not read"):
        inputs_of(["ftp://example.org/feed"])
