from __future__ import annotations

import http.server
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from raydet.transforms import patience
from raydet.transforms.object_store import read_object
from raydet.transforms.patience import passes, persistently
from raydet.transforms.storage import list_files, read_bytes, read_text


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_DELAY", 0.01)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("train/a.txt", "in a zip")
        file.writestr("train/deep/b.txt", "b")
    return str(path)


@pytest.fixture
def server() -> Iterator[str]:
    """A web server: /late answers at the third try, /secret never, /broken not at all."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            late = self.path == "/late" and seen.count("/late") < 3
            status = {"/secret": 403, "/broken": 500, "/gone": 404}.get(self.path, 503 if late else 200)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()


def test_web_server_that_fails_twice_is_asked_again_and_named_once(server: str, caplog) -> None:
    assert read_bytes(f"{server}/late") == b"hello"
    assert read_bytes(f"{server}/x", {"backend": "http", "timeout": 5}) == b"hello"
    said = [record.message for record in caplog.records if "does not answer" in record.message]
    assert len(said) == 1
    assert said[0].startswith(f"{server} does not answer")
    assert "answers again" in caplog.text


def test_web_server_that_fails_for_longer_than_the_patience_is_an_error(server: str) -> None:
    with pytest.raises(ConnectionError, match="/broken could not be read within"):
        read_bytes(f"{server}/broken", {"backend": "http", "patience": 0.1})


@pytest.mark.parametrize(("name", "kind"), [("gone", FileNotFoundError), ("secret", PermissionError)])
def test_missing_and_forbidden_are_final(server: str, name: str, kind: type, caplog) -> None:
    with pytest.raises(kind, match=f"/{name} cannot be read"):
        read_bytes(f"{server}/{name}")
    assert "does not answer" not in caplog.text


@pytest.mark.parametrize(
    ("error", "remote", "expected"),
    [
        (OSError("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7"), True, True),
        (OSError("AWS Error SLOW_DOWN during GetObject operation"), True, True),
        (OSError("AWS Error ACCESS_DENIED during HeadObject operation: No response body."), True, False),
        (OSError("AWS Error NO_SUCH_BUCKET during HeadObject operation"), True, False),
        (FileNotFoundError("x"), True, False),
        (OSError(5, "Input/output error"), False, True),
        (OSError(40, "Too many levels of symbolic links"), False, False),
    ],
)
def test_only_errors_that_may_pass_are_waited_for(error: OSError, remote: bool, expected: bool) -> None:
    assert passes(error, remote) is expected


def test_waiting_leaves_the_draws_of_a_sample_alone() -> None:
    import random

    failures = [OSError("SLOW_DOWN"), OSError("SLOW_DOWN")]

    def read() -> int:
        if failures:
            raise failures.pop()
        return 1

    random.seed(3)
    assert persistently(read, "s3://bucket/key", remote=True) == 1
    after = random.random()
    random.seed(3)
    assert random.random() == after


def test_file_in_an_archive_is_read_by_backend_and_by_uri(archive: str) -> None:
    assert read_bytes("train/a.txt", {"backend": "zip", "archive": archive}) == b"in a zip"
    assert read_text(f"zip://{archive}!/train/a.txt") == "in a zip"
    with pytest.raises(FileNotFoundError, match=r"images\.zip has no member train/c\.txt"):
        read_bytes(f"zip://{archive}!/train/c.txt")
    with pytest.raises(ValueError, match=r"zip://archive\.zip!/path"):
        read_bytes(f"zip://{archive}/train/a.txt")


def test_files_of_a_folder_and_of_an_archive_are_listed(archive: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "out")
    expected = ["a.txt", "deep/b.txt"]
    assert list_files(str(tmp_path / "out" / "train")) == expected
    assert list_files((tmp_path / "out" / "train").as_uri()) == expected
    assert list_files(f"zip://{archive}!/train") == expected
    assert list_files("train/", {"backend": "zip", "archive": archive}) == expected
    assert list_files(str(tmp_path / "nowhere")) == []
    with pytest.raises(ValueError, match="cannot be listed"):
        list_files("http://127.0.0.1/a")


def test_key_of_an_lmdb_is_read(tmp_path: Path) -> None:
    lmdb = pytest.importorskip("lmdb")
    args = {"backend": "lmdb", "db_path": str(tmp_path / "db")}
    with lmdb.open(args["db_path"]) as env, env.begin(write=True) as transaction:
        transaction.put(b"a.jpg", b"bytes")
    assert read_bytes("a.jpg", args) == b"bytes"
    with pytest.raises(FileNotFoundError, match=r"db has no key b\.jpg"):
        read_bytes("b.jpg", args)
    with pytest.raises(FileNotFoundError, match=r"there is no LMDB nowhere"):
        read_bytes("a.jpg", {"backend": "lmdb", "db_path": "nowhere"})


@pytest.mark.parametrize("backend", ["petrel", "ceph"])
def test_petrel_paths_are_mapped_by_their_longest_start(tmp_path: Path, backend: str) -> None:
    (tmp_path / "a.txt").write_text("mapped")
    mapping = {"data/": "s3://nowhere/", "data/coco/": f"{tmp_path.as_uri()}/"}
    assert read_bytes("data/coco/a.txt", {"backend": backend, "path_mapping": mapping}) == b"mapped"
    assert list_files("data/coco", {"backend": backend, "path_mapping": {"data/coco": tmp_path.as_uri()}}) == ["a.txt"]


def test_petrel_path_loses_the_name_of_its_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("raydet.transforms.storage.read_object", lambda uri: seen.append(uri) or b"")
    read_bytes("data/a.jpg", {"backend": "petrel", "path_mapping": {"data/": "cluster:s3://bucket/coco/"}})
    assert seen == ["s3://bucket/coco/a.jpg"]


def test_unknown_option_of_s3_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"\['endpoint'\].*endpoint_override"):
        read_object("s3://bucket/key", endpoint="http://127.0.0.1")


def test_uri_in_messages_has_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(uri: str) -> bytes:
        raise OSError("AWS Error ACCESS_DENIED during HeadObject operation")

    monkeypatch.setattr("raydet.transforms.storage.read_object", read)
    with pytest.raises(PermissionError, match="s3://bucket/a cannot be read") as caught:
        read_bytes("s3://key:secret@bucket/a")
    assert "secret" not in str(caught.value)
