"""Data sets and checkpoints on a real S3 server of this machine (SeaweedFS)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.fs as pafs
import pytest
import seaweed
import torch

from raydet.checkpoint import load
from raydet.datasets import CocoDataset, ParquetDataset, RepeatDataset, YOLODataset, build_carrier, write_parquet
from raydet.distributed.storage import open_run_folder
from raydet.transforms import read_bytes
from raydet.transforms.storage import list_files

pytestmark = seaweed.marks
LOADING = [{"type": "LoadImageFromFile"}]


@pytest.fixture
def uploaded(bucket: pafs.FileSystem, coco_content, write_coco, image_folder: Path, tmp_path: Path) -> str:
    """The folder with `instances.json` and `images` here, which lies in the bucket, too."""
    write_coco(coco_content)
    pafs.copy_files(str(tmp_path), "data/coco", destination_filesystem=bucket)
    return str(tmp_path)


def coco(root: str, pipeline: Any, **options: Any) -> CocoDataset:
    options = {"data_root": root, "img_prefix": "images", "classes": ["cat", "dog"], **options}
    return CocoDataset("instances.json", pipeline, **options)


def assert_same_samples(ours: Any, theirs: Any) -> None:
    assert len(ours) == len(theirs)
    for i in range(len(theirs)):
        torch.testing.assert_close(ours[i]["img"], theirs[i]["img"], rtol=0, atol=0)
        np.testing.assert_array_equal(ours.get_ann_info(i)["bboxes"], theirs.get_ann_info(i)["bboxes"])


def test_data_set_in_a_bucket_gives_the_samples_of_one_on_disk(uploaded: str) -> None:
    assert_same_samples(coco("s3://data/coco/", LOADING), coco(uploaded, LOADING))
    mapping = {"backend": "petrel", "path_mapping": {f"{uploaded}/": "s3://data/coco/"}}
    petrel = coco(uploaded, [{**LOADING[0], "file_client_args": mapping}], file_client_args=mapping)
    assert_same_samples(petrel, coco(uploaded, LOADING))


def batches_of(root: str, pipelines: Any, times: int = 1) -> Iterator[dict[str, Any]]:
    """The batches of two worker processes, forked after this one has read from the bucket."""
    dataset = RepeatDataset(coco(root, pipelines.train()), times)
    data = {"samples_per_gpu": 2, "workers_per_gpu": 2}
    carrier = build_carrier(dataset, data, "train", rank=0, world_size=1, seed=3, work_dir=None)
    yield from carrier.iterate(0)
    carrier.close()


def test_batches_from_a_bucket_are_those_from_disk(uploaded: str, pipelines) -> None:
    for ours, theirs in zip(batches_of("s3://data/coco/", pipelines), batches_of(uploaded, pipelines), strict=True):
        torch.testing.assert_close(ours["img"], theirs["img"], rtol=0, atol=0)


def test_parquet_in_a_bucket_gives_the_samples_of_its_source(uploaded: str) -> None:
    source = coco(uploaded, LOADING, test_mode=True)
    write_parquet(source, "s3://data/parquet", embed_images=True, shard_size=4)
    assert_same_samples(ParquetDataset("s3://data/parquet", LOADING, test_mode=True), source)
    with pytest.raises(ValueError, match="holds a data set already"):
        write_parquet(source, "s3://data/parquet")


def test_yolo_in_a_bucket(bucket: pafs.FileSystem, image_folder: Path) -> None:
    (image_folder / "data.yaml").write_text("train: images\nnames: [x]\n")
    (image_folder / "1.txt").write_text("0 0.5 0.5 0.5 0.5")
    for name, place in {"data.yaml": "data.yaml", "1.png": "images/1.png", "1.txt": "labels/1.txt"}.items():
        pafs.copy_files(str(image_folder / name), f"data/yolo/{place}", destination_filesystem=bucket)
    assert list_files("s3://data/yolo") == ["data.yaml", "images/1.png", "labels/1.txt"]
    dataset = YOLODataset("s3://data/yolo/data.yaml", LOADING)
    assert dataset[0]["img"].shape == (40, 60, 3)
    assert dataset.get_ann_info(0)["bboxes"].tolist() == [[15, 10, 45, 30]]


@pytest.mark.parametrize("place", ["s3://data/coco/images/none.png", "s3://no-such-bucket/a.png"])
def test_missing_object_is_final(bucket: pafs.FileSystem, place: str, caplog) -> None:
    start = time.monotonic()
    with pytest.raises(FileNotFoundError, match=place):
        read_bytes(place)
    assert time.monotonic() - start < 5
    assert "does not answer" not in caplog.text


def test_forbidden_object_is_final(uploaded: str) -> None:
    start = time.monotonic()
    with pytest.raises(PermissionError, match=r"s3://data/coco/instances\.json cannot be read") as caught:
        read_bytes("s3://raydet:wrong@data/coco/instances.json")
    assert time.monotonic() - start < 5
    assert "wrong@" not in str(caught.value)


def test_checkpoint_is_written_to_a_bucket_and_read_back(bucket: pafs.FileSystem, tmp_path: Path) -> None:
    folder = open_run_folder("s3://data/runs", "a", stem="x", resume=False)
    state = {"meta": {"epoch": 3}, "state_dict": {"w": torch.arange(300_000)}}
    torch.save(state, tmp_path / "epoch_3.pth")
    pafs.copy_files(
        str(tmp_path / "epoch_3.pth"), f"{folder.path}/epoch_3.pth", destination_filesystem=folder.filesystem
    )
    assert folder.files() == ["epoch_3.pth"]
    assert folder.is_used()
    (tmp_path / "back.pth").write_bytes(read_bytes("s3://data/runs/a/epoch_3.pth"))
    torch.testing.assert_close(load(tmp_path / "back.pth")["state_dict"], state["state_dict"])


def test_epoch_goes_on_after_the_server_was_away_for_ten_seconds(
    uploaded: str, server: seaweed.Server, pipelines
) -> None:
    start = time.monotonic()
    back = threading.Timer(10, server.start)
    pairs = zip(batches_of("s3://data/coco/", pipelines, 8), batches_of(uploaded, pipelines, 8), strict=True)
    for number, (ours, theirs) in enumerate(pairs):
        if number == 3:
            server.kill()
            back.start()
        torch.testing.assert_close(ours["img"], theirs["img"], rtol=0, atol=0)
        assert ours["img_metas"][0]["ori_filename"] == theirs["img_metas"][0]["ori_filename"]
    assert number == 19
    assert time.monotonic() - start > 10
