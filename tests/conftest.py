"""What the tests of all folders share; they can import what stands beside this file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    import pyarrow.fs as pafs
    from seaweed import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An S3 server of this machine."""
    from seaweed import Server

    running = Server(tmp_path_factory.mktemp("s3"))
    yield running
    running.kill()


@pytest.fixture
def bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> pafs.FileSystem:
    """The file system with the bucket `data`, and the environment that a user of it has."""
    from seaweed import KEY, SECRET

    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return server.filesystem()
