from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from raydet.datasets import BadSampleCounter, BadSamplePolicy, BatchReader, IndexPlan, LoaderCarrier, list_in
from raydet.datasets.bad_samples import BAD_SAMPLES
from raydet.datasets.wrappers import RepeatDataset
from raydet.transforms import BadSampleError


@pytest.fixture
def broken(make_coco, image_folder: Path):
    """A data set whose second image (id 3, a wide one) is cut short."""
    dataset = make_coco()
    path = image_folder / "3.png"
    path.write_bytes(path.read_bytes()[:200])
    return dataset


def draws_of(sample: int) -> list[tuple[int, int]]:
    return [(sample, 11), (0, 12)]


def test_fail_names_the_file(broken) -> None:
    with pytest.raises(BadSampleError, match=r"3\.png is cut short.*bad_samples"):
        BatchReader(broken)(draws_of(1))


def test_skip_takes_another_sample_of_the_group_and_lists_the_bad_one(broken) -> None:
    batch = BatchReader(broken, BadSamplePolicy("skip"))(draws_of(1))
    assert batch["img_metas"][0]["ori_filename"] in ("3.png", "6.png")
    assert batch[BAD_SAMPLES][0]["index"] == 1
    assert batch[BAD_SAMPLES][0]["file"].endswith("3.png")


def test_skip_takes_the_same_sample_on_every_run(broken) -> None:
    batches = [BatchReader(broken, BadSamplePolicy("skip"))(draws_of(1)) for _ in range(2)]
    assert torch.equal(batches[0]["img"], batches[1]["img"])


def test_skip_finds_the_file_inside_wrappers(broken) -> None:
    batch = BatchReader(RepeatDataset(broken, 2), BadSamplePolicy("skip"))(draws_of(6))
    assert batch[BAD_SAMPLES][0]["file"].endswith("3.png")


def test_placeholder_is_a_black_image_without_objects(broken) -> None:
    batch = BatchReader(broken, BadSamplePolicy("placeholder"))(draws_of(1))
    assert batch["img_metas"][0]["ori_filename"] == "3.png"
    assert batch["gt_bboxes"][0].shape == (0, 4)
    assert not batch["img"][0].any()


def test_a_programming_error_in_a_transform_is_not_a_bad_sample(make_coco) -> None:
    def wrong(sample: dict) -> dict:
        raise TypeError("oops")

    with pytest.raises(TypeError, match="oops"):
        BatchReader(make_coco([wrong]), BadSamplePolicy("skip"))(draws_of(0))


def test_counter_stops_the_run_beyond_the_quota(tmp_path: Path) -> None:
    counter = BadSampleCounter(BadSamplePolicy("skip", quota=0.1), list_in(tmp_path / "run"))
    record = {"index": 1, "file": "a.jpg", "error": "broken"}
    for _ in range(10):
        counter.check({"img": torch.zeros(2, 1)})
    for _ in range(2):
        counter.check({"img": torch.zeros(2, 1), BAD_SAMPLES: [record]})
    with pytest.raises(BadSampleError, match=r"3 of 26 samples are bad.*10"):
        counter.check({"img": torch.zeros(2, 1), BAD_SAMPLES: [record]})
    lines = (tmp_path / "run" / "bad_samples.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{**record, "rank": 0}] * 3


def test_counter_counts_images_not_augmentations() -> None:
    counter = BadSampleCounter(BadSamplePolicy())
    counter.check({"img_metas": [[{}, {}, {}], [{}, {}, {}]], "img": []})
    assert counter.seen == 3


def test_carrier_lists_bad_samples_and_hides_them_from_the_model(broken) -> None:
    listed: list = []
    plan = IndexPlan.of(broken, 1, order="sequential")
    policy = BadSamplePolicy("skip")
    carrier = LoaderCarrier(broken, plan, num_workers=0, bad_samples=policy, on_bad_samples=listed.extend)
    assert all(BAD_SAMPLES not in batch for batch in carrier.iterate(0))
    assert {record["index"] for record in listed} == {1}


@pytest.mark.parametrize(
    "cfg", [{"policy": "ignore"}, {"quota": 2}, {"policy": "skip", "limit": 3}], ids=["policy", "quota", "key"]
)
def test_policy_with_wrong_settings_raises(cfg: dict) -> None:
    with pytest.raises(ValueError, match=r"data\.bad_samples"):
        BadSamplePolicy.from_config(cfg)
