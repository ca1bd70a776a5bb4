"""Large checkpoints on their way to an S3 server that goes away in the middle."""

import hashlib
import os
import threading
import time
from urllib.parse import quote

import pyarrow.fs as pafs
import pytest
import seaweed
from slow_link import SlowLink

from raydet.checkpoint.checksum import sidecar_of, write_sidecar
from raydet.distributed.outbox import Outbox
from raydet.distributed.storage import open_run_folder

pytestmark = seaweed.marks
SIZE = 48 * 1024**2


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "epoch_1.pth"
    path.write_bytes(os.urandom(SIZE))
    write_sidecar(path, hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_upload_in_parts_is_begun_again_after_an_outage_and_never_seen_in_half(server, bucket, checkpoint, tmp_path):
    lines = []
    with SlowLink(server.ports[0], rate=15e6) as link:
        storage = f"s3://{seaweed.KEY}:{seaweed.SECRET}@data/large?endpoint_override={quote(link.url, safe='')}"
        folder = open_run_folder(storage, "a", stem="x", resume=False)
        outbox = Outbox(folder, tmp_path / "node", lines.append)
        place = outbox.put(checkpoint, "checkpoint_1")
        upload = threading.Thread(target=outbox.send, args=(place, "checkpoint_1", checkpoint))
        upload.start()
        while link.sent < SIZE / 3:
            time.sleep(0.01)
        server.kill()
        time.sleep(10)
        assert (place / checkpoint.name).exists()
        server.start()
        server.filesystem()
        seen = bucket.get_file_info("data/large/a/checkpoint_1/epoch_1.pth")
        assert seen.type == pafs.FileType.NotFound or seen.size == SIZE
        upload.join(timeout=300)
        assert not upload.is_alive()
    content = bucket.open_input_stream("data/large/a/checkpoint_1/epoch_1.pth").read()
    assert hashlib.sha256(content).hexdigest() == sidecar_of(checkpoint).read_text().split()[0]
    assert folder.files("checkpoint_1") == ["epoch_1.pth", "epoch_1.pth.sha256"]
    assert lines[0].startswith("epoch_1.pth is in s3://data/large/a")
    assert link.sent > 4 / 3 * SIZE  # what was on its way was sent again
