"""A run that keeps its files in an S3 bucket."""

import json
import socket
import subprocess
import sys
import time

import pyarrow.fs as pafs
import pytest
from tiny import tiny_config

from raydet.distributed import train

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def bucket():
    """A bucket on an S3 server of this machine: its file system and its URI."""
    pytest.importorskip("moto.server", reason="needs moto[server]", exc_type=ImportError)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    filesystem = pafs.S3FileSystem(
        endpoint_override=f"http://127.0.0.1:{port}",
        access_key="key",
        secret_key="secret",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    while server.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    filesystem.create_dir("runs")
    yield filesystem, f"s3://key:secret@runs/raydet?endpoint_override=http%3A%2F%2F127.0.0.1%3A{port}"
    server.kill()
    server.wait()


def names(filesystem, path):
    found = filesystem.get_file_info(pafs.FileSelector(path, recursive=True))
    return [info.path.removeprefix(path + "/") for info in found if info.is_file]


def test_train_with_bucket_keeps_run_there_and_resumes_from_it(ray_cluster, coco, tmp_path, bucket):
    filesystem, uri = bucket
    train(tiny_config(*coco, max_epochs=1), storage=uri, name="a")
    written = names(filesystem, "runs/raydet/a")
    assert "config.py" in written
    assert any(name.startswith("checkpoint_") and name.endswith("/epoch_1.pth") for name in written)
    assert any(name.endswith(".log.json") for name in written)
    result = train(tiny_config(*coco, max_epochs=2), storage=uri, name="a", resume=True)
    assert "bbox_mAP" in result.metrics
    assert "secret" not in result.folder
    logs = sorted(name for name in names(filesystem, "runs/raydet/a") if name.endswith(".log.json"))
    lines = filesystem.open_input_stream(f"runs/raydet/a/{logs[-1]}").read().decode().splitlines()
    assert {json.loads(line)["epoch"] for line in lines if '"mode": "train"' in line} == {2}
