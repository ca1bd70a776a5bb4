from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raydet.datasets import (
    ClassBalancedDataset,
    CocoDataset,
    ConcatDataset,
    CustomDataset,
    ParquetDataset,
    RepeatDataset,
    write_parquet,
)
from raydet.transforms import read_bytes

LOADING = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_mask": True}]
TRAINING = {"pipeline": LOADING, "classes": ["cat", "dog"]}


@pytest.fixture
def source(coco_content, make_coco) -> CocoDataset:
    """A data set with a crowd, an RLE mask, an object without a mask and one that is not used."""
    coco_content["annotations"][2]["segmentation"] = {"size": [48, 64], "counts": [100, 20, 2952]}
    coco_content["annotations"][5]["bbox"][2] = 0.25
    return make_coco(pipeline=LOADING[:1], test_mode=True)


@pytest.fixture
def changed_coco(coco_content, write_coco, source, image_folder) -> Any:
    """The same data set for training."""
    path = write_coco(coco_content)
    return lambda **options: CocoDataset(path, img_prefix=str(image_folder), **{**TRAINING, **options})


@pytest.fixture(params=[True, False], ids=["embedded", "referenced"])
def written(request, source, changed_coco, tmp_path: Path) -> str:
    place = str(tmp_path / "parquet")
    whole = changed_coco(test_mode=True, pipeline=LOADING[:1])
    assert len(write_parquet(whole, place, embed_images=request.param, shard_size=4)) == 2
    return place


def assert_same(a: Any, b: Any) -> None:
    if isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    else:
        assert a == b


def test_parquet_gives_the_annotations_of_its_source(written: str, changed_coco) -> None:
    ours, theirs = ParquetDataset(written, **TRAINING), changed_coco()
    assert ours.img_ids == theirs.img_ids
    assert ours.flag.tolist() == theirs.flag.tolist()
    assert list(ours.data_infos) == list(theirs.data_infos)
    for i in range(len(theirs)):
        info = ours.get_ann_info(i)
        for key, value in theirs.get_ann_info(i).items():
            assert_same(value, info[key])
        assert ours.get_cat_ids(i) == theirs.get_cat_ids(i)


def test_parquet_gives_the_samples_of_its_source(written: str, changed_coco) -> None:
    ours, theirs = ParquetDataset(written, **TRAINING), changed_coco()
    for i in range(len(theirs)):
        sample = ours[i]
        assert_same(theirs[i]["img"], sample["img"])
        assert_same(theirs[i]["gt_masks"].masks, sample["gt_masks"].masks)
        assert sample["ori_filename"] == theirs[i]["ori_filename"]
        assert read_bytes(ours.filename(i)) == Path(theirs.filename(i)).read_bytes()


def test_parquet_index_holds_what_the_file_of_its_source_does(written: str, changed_coco) -> None:
    ours, theirs = ParquetDataset(written, **TRAINING).coco, changed_coco().coco
    for number, annotation in theirs.anns.items():
        assert annotation.items() <= ours.anns[number].items()
    assert ours.cats == theirs.cats


def test_parquet_survives_pickling(written: str) -> None:
    dataset = ParquetDataset(written, **TRAINING)
    assert_same(pickle.loads(pickle.dumps(dataset))[2]["img"], dataset[2]["img"])


def test_parquet_evaluates_its_own_boxes_as_perfect(written: str) -> None:
    dataset = ParquetDataset(written, pipeline=[], test_mode=True)
    assert tuple(dataset.CLASSES or ()) == ("cat", "dog")
    results = []
    for i in range(len(dataset)):
        info = dataset.get_ann_info(i)
        rows = np.concatenate([info["bboxes"], np.ones((len(info["bboxes"]), 1), np.float32)], axis=1)
        results.append([rows[info["labels"] == label] for label in range(2)])
    assert dataset.evaluate(results, logger="silent")["bbox_mAP"] > 0.9


def test_parquet_of_the_middle_format_keeps_ignored_boxes(tmp_path: Path, image_folder: Path) -> None:
    ann = {
        "bboxes": np.array([[1, 2, 20.5, 30]], np.float32),
        "labels": np.array([1]),
        "bboxes_ignore": np.array([[3, 3, 9, 9]], np.float32),
        "labels_ignore": np.array([0]),
    }
    records = [{"filename": "1.png", "width": 60, "height": 40, "ann": ann, "scene": np.int64(7)}]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(records))
    source = CustomDataset(
        str(tmp_path / "a.pkl"), [], classes=["x", "y"], img_prefix=str(image_folder), test_mode=True
    )
    write_parquet(source, str(tmp_path / "out"))
    dataset = ParquetDataset(str(tmp_path / "out"), LOADING[:1])
    info = dataset.get_ann_info(0)
    for key, value in ann.items():
        assert_same(value, info[key])
    assert dataset.data_infos[0]["scene"] == 7
    assert dataset[0]["img"].shape == (40, 60, 3)


def test_parquet_of_wrappers_holds_each_part_once(make_coco, tmp_path: Path) -> None:
    part = make_coco(test_mode=True)
    write_parquet(RepeatDataset(ConcatDataset([part, ClassBalancedDataset(part, 0.5)]), 3), str(tmp_path / "out"))
    dataset = ParquetDataset(str(tmp_path / "out"), [], test_mode=True)
    assert dataset.img_ids == list(range(12))
    assert_same(dataset.get_ann_info(10)["bboxes"], part.get_ann_info(4)["bboxes"])


def test_parts_of_other_classes_are_refused(make_coco, tmp_path: Path, image_folder: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([]))
    other = CustomDataset(str(tmp_path / "a.pkl"), [], classes=["x"], test_mode=True)
    with pytest.raises(ValueError, match=r"a\.pkl has other categories"):
        write_parquet(ConcatDataset([make_coco(test_mode=True), other]), str(tmp_path / "out"))


def test_writing_goes_on_where_it_was_cut_off(make_coco, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, place = make_coco(test_mode=True), tmp_path / "out"

    def stop(count: int) -> None:
        if len(list(place.glob("*.parquet"))) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_parquet(dataset, str(place), shard_size=2, advance=stop)
    with pytest.raises(ValueError, match="not written to its end"):
        ParquetDataset(str(place), [])
    first = (place / "part-00000.parquet").stat().st_mtime_ns
    counted: list[int] = []
    write_parquet(dataset, str(place), shard_size=2, advance=counted.append)
    assert (place / "part-00000.parquet").stat().st_mtime_ns == first
    assert sum(counted) == 6
    assert ParquetDataset(str(place), [], test_mode=True).img_ids == [1, 2, 3, 4, 5, 6]


def test_writing_over_something_is_refused(make_coco, tmp_path: Path) -> None:
    dataset = make_coco(test_mode=True)
    write_parquet(dataset, str(tmp_path / "out"))
    with pytest.raises(ValueError, match="holds a data set already"):
        write_parquet(dataset, str(tmp_path / "out"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(ValueError, match="holds 1 other files"):
        write_parquet(dataset, str(tmp_path / "mine"))


def of_hand(path: Path, about: Any = None, **columns: Any) -> str:
    """A file as users may make it."""
    rows = {"file_name": ["a", "b"], "width": [50, 60], "height": [40, 40], "boxes": [[[1, 2, 3, 4]], []], **columns}
    about = {"version": 1, "categories": [{"id": 5, "name": "x"}]} if about is None else about
    table = pa.table({"labels": [[0], []], **rows}).replace_schema_metadata(
        {"raydet": json.dumps(about)} if about else {}
    )
    if path.suffix == ".arrow":
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    else:
        pq.write_table(table, path, row_group_size=1)
    return str(path)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_file_with_the_least_columns_will_do(tmp_path: Path, image_folder: Path, suffix: str) -> None:
    images = [(image_folder / f"{i}.png").read_bytes() for i in (3, 4)]
    dataset = ParquetDataset(of_hand(tmp_path / f"a{suffix}", image=images), LOADING[:1], test_mode=True)
    info = dataset.get_ann_info(0)
    assert info["bboxes"].tolist() == [[1, 2, 4, 6]]
    assert info["masks"] == [None]
    assert dataset.cat_ids == [5]
    assert dataset.img_ids == [0, 1]
    assert dataset[0]["img"].shape == (48, 64, 3)
    assert dataset[1]["img"].shape == (50, 50, 3)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"about": {}}, "no metadata of raydet"),
        ({"about": {"version": 9, "categories": []}}, "version 9"),
        ({"labels": [[1], []]}, "label 1 is none of the 1 categories"),
        ({"iscrowd": [[], []]}, "lists of the column iscrowd"),
    ],
)
def test_file_that_does_not_fit_says_why(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ParquetDataset(of_hand(tmp_path / "a.parquet", **columns), [])


def test_places_without_images_say_so(tmp_path: Path) -> None:
    file = of_hand(tmp_path / "a.parquet", image=[b"x", None])
    with pytest.raises(FileNotFoundError, match=r"no \.parquet"):
        ParquetDataset(str(tmp_path / "nowhere"), [])
    for place, kind in {f"{file}!7": FileNotFoundError, f"{file}!1": FileNotFoundError, file: ValueError}.items():
        with pytest.raises(kind, match=r"a\.parquet"):
            read_bytes(f"parquet://{place}")
