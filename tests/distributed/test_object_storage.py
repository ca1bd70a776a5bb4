"""Runs that keep their files in an S3 bucket of a real server, which may go away."""

import hashlib
import json
import re
import threading
import time
from urllib.parse import quote

import pyarrow.fs as pafs
import pytest
import seaweed
from pace_hook import steps
from slow_link import SlowLink
from tiny import tiny_config

from raydet.distributed import train

pytestmark = [pytest.mark.ray, *seaweed.marks]
OUTAGE = 10.0  # seconds


def uri(url):
    return f"s3://{seaweed.KEY}:{seaweed.SECRET}@data/raydet?endpoint_override={quote(url, safe='')}"


def content(filesystem, path):
    return filesystem.open_input_stream(path).read()


def names(filesystem, path):
    found = filesystem.get_file_info(pafs.FileSelector(path, recursive=True))
    return {info.path.removeprefix(path + "/") for info in found if info.is_file}


def log(filesystem, path):
    """What the newest log of the run says."""
    newest = max(name for name in names(filesystem, path) if name.endswith(".log"))
    return content(filesystem, f"{path}/{newest}").decode()


def whole_checkpoints(filesystem, path):
    """Names of the checkpoint folders, each of which must hold a file and its right digest."""
    folders = sorted({name.split("/")[0] for name in names(filesystem, path) if name.startswith("checkpoint_2")})
    for folder in folders:
        sidecar, file = sorted(names(filesystem, f"{path}/{folder}"), key=len, reverse=True)
        digest = hashlib.sha256(content(filesystem, f"{path}/{folder}/{file}")).hexdigest()
        assert content(filesystem, f"{path}/{folder}/{sidecar}").decode().split()[0] == digest
    return folders


def test_run_lives_in_bucket_and_resumes_past_a_damaged_checkpoint(ray_cluster, coco, server, bucket):
    place = "data/raydet/a"
    train(tiny_config(*coco, max_epochs=2), storage=uri(server.url), name="a")
    assert {"config.py", "checkpoint_manager_snapshot.json"} <= names(bucket, place)
    assert any(name.endswith(".log.json") for name in names(bucket, place))
    first, second = whole_checkpoints(bucket, place)
    damaged = bytearray(content(bucket, f"{place}/{second}/epoch_2.pth"))
    damaged[len(damaged) // 2] ^= 1
    with bucket.open_output_stream(f"{place}/{second}/epoch_2.pth") as stream:
        stream.write(bytes(damaged))
    result = train(tiny_config(*coco, max_epochs=3), storage=uri(server.url), name="a", resume=True)
    assert f"{second}/epoch_2.pth is damaged" in log(bucket, place)
    assert "resumed from" in log(bucket, place)
    assert f"{first}/epoch_1.pth" in log(bucket, place)
    assert "bbox_mAP" in result.metrics
    assert "secret" not in result.folder
    logs = sorted(name for name in names(bucket, place) if name.endswith(".log.json"))
    records = [json.loads(line) for line in content(bucket, f"{place}/{logs[-1]}").decode().splitlines()]
    assert {record["epoch"] for record in records if record.get("mode") == "train"} == {2, 3}


def test_run_goes_on_while_the_storage_is_away_in_the_middle_of_an_upload(ray_cluster, coco, server, bucket, tmp_path):
    cfg = tiny_config(
        *coco,
        max_epochs=5,
        evaluation=None,
        checkpoint_config={"interval": 1, "max_keep_ckpts": 2},
        custom_imports={"imports": ["pace_hook"], "allow_failed_imports": False},
        custom_hooks=[{"type": "PaceHook", "path": str(tmp_path / "steps"), "seconds": 0.5}],
    )
    away = []
    with SlowLink(server.ports[0], rate=300_000) as link:

        def go_away():
            while link.sent < 250_000:
                time.sleep(0.05)
            server.kill()
            away.append(time.time())
            time.sleep(OUTAGE)
            server.start()
            away.append(time.time())

        outage = threading.Thread(target=go_away)
        outage.start()
        train(cfg, storage=uri(link.url), name="b")
        outage.join()
    meanwhile = [at for at in steps(tmp_path / "steps") if away[0] < at < away[1]]
    assert len(meanwhile) >= 3  # of steps that last half a second and a little more
    assert re.findall(r"INFO - (epoch_.*) is in", log(bucket, "data/raydet/b"))[:3] == [
        f"epoch_{n}.pth" for n in (1, 2, 3)
    ]
    kept = whole_checkpoints(bucket, "data/raydet/b")
    assert len(kept) == 2
    snapshot = json.loads(content(bucket, "data/raydet/b/checkpoint_manager_snapshot.json"))
    assert snapshot["latest_checkpoint_result"]["checkpoint_dir_name"] == kept[-1]


def test_run_in_shards_lives_in_bucket_and_resumes(ray_cluster, coco, server, bucket):
    def run(max_epochs, **more):
        cfg = tiny_config(
            *coco, max_epochs=max_epochs, distributed={"type": "fsdp2"}, checkpoint_config={"interval": 1}
        )
        return train(cfg, num_workers=2, storage=uri(server.url), name="c", carrier="torch", **more)

    run(1)
    shards = {"__0_0.distcp", "__1_0.distcp", ".metadata", "run.pth", "SHA256SUMS"}
    written = {name.partition("/")[2] for name in names(bucket, "data/raydet/c") if name.startswith("checkpoint_2")}
    assert written == {f"epoch_1.shards/{name}" for name in shards}
    assert "bbox_mAP" in run(2, resume=True).metrics
    assert "epoch_1.shards" in log(bucket, "data/raydet/c")
