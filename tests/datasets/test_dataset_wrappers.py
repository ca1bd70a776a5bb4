from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raydet.datasets import ClassBalancedDataset, ConcatDataset, RepeatDataset, build_dataset


class Toy:
    """Samples are (name, index)."""

    CLASSES = ("x", "y")
    PALETTE = None

    def __init__(self, name: str, cat_ids: list[list[int]], flag: list[int] | None = None) -> None:
        self.name = name
        self.cat_ids = cat_ids
        self.flag = np.array(flag if flag is not None else [0] * len(cat_ids), np.uint8)
        self.data_infos = [(name, i) for i in range(len(cat_ids))]

    def __len__(self) -> int:
        return len(self.cat_ids)

    def __getitem__(self, idx: int) -> tuple[str, int]:
        return self.name, idx

    def get_cat_ids(self, idx: int) -> list[int]:
        return self.cat_ids[idx]

    def get_cat2imgs(self) -> dict[int, list[int]]:
        return {k: [i for i, ids in enumerate(self.cat_ids) if k in ids] for k in range(2)}

    def evaluate(self, results: list[Any], logger: Any = None) -> dict[str, float]:
        return {"score": sum(results), "images": len(self.data_infos)}


def test_concat_finds_samples_from_both_ends() -> None:
    dataset = ConcatDataset([Toy("a", [[0], [0]], [1, 0]), Toy("b", [[1]], [1])])
    assert [dataset[i] for i in (0, 2, -1)] == [("a", 0), ("b", 0), ("b", 0)]
    assert dataset.flag.tolist() == [1, 0, 1]
    assert dataset.get_cat_ids(-1) == [1]
    assert dataset.get_cat2imgs() == {0: [0, 1], 1: [2]}
    with pytest.raises(IndexError):
        dataset.get_cat_ids(3)


def test_concat_evaluates_its_parts_separately() -> None:
    dataset = ConcatDataset([Toy("a", [[0], [0]]), Toy("b", [[1]])])
    assert dataset.evaluate([1, 2, 4]) == {"0_score": 3, "0_images": 2, "1_score": 4, "1_images": 1}


def test_concat_evaluates_as_a_whole_when_told_to() -> None:
    parts = [Toy("a", [[0], [0]]), Toy("b", [[1]])]
    assert ConcatDataset(parts, separate_eval=False).evaluate([1, 2, 4]) == {"score": 7, "images": 3}
    assert len(parts[0].data_infos) == 2


def test_concat_of_coco_as_a_whole_is_refused(make_coco) -> None:
    with pytest.raises(NotImplementedError, match="separate_eval=True"):
        ConcatDataset([make_coco()], separate_eval=False)


def test_concat_with_too_few_results_raises() -> None:
    with pytest.raises(ValueError, match="3 samples"):
        ConcatDataset([Toy("a", [[0]] * 3)]).evaluate([1])


def test_repeat_goes_through_the_data_set_several_times() -> None:
    dataset = RepeatDataset(Toy("a", [[0], [1]], [1, 0]), 3)
    assert len(dataset) == 6
    assert dataset[5] == ("a", 1)
    assert dataset.flag.tolist() == [1, 0] * 3
    assert dataset.get_cat2imgs() == {0: [0, 2, 4], 1: [1, 3, 5]}


def test_class_balanced_repeats_images_of_rare_classes() -> None:
    dataset = ClassBalancedDataset(Toy("a", [[0], [0], [0], [0, 1]]), oversample_thr=1.0)
    assert dataset.repeat_indices == [0, 1, 2, 3, 3] or dataset.repeat_factors == [1, 1, 1, 2]
    assert dataset[-1] == ("a", 3)


def test_class_balanced_can_treat_empty_images_as_a_class() -> None:
    toy = Toy("a", [[0], [0], [0], []])
    assert ClassBalancedDataset(toy, 1.0).repeat_factors[3] == 1
    assert ClassBalancedDataset(toy, 1.0, filter_empty_gt=False).repeat_factors[3] == 2


def coco_cfg(coco_content: Any, write_coco: Any, **more: Any) -> dict[str, Any]:
    path = write_coco(coco_content)
    return {"type": "CocoDataset", "ann_file": path, "classes": ["cat", "dog"], "pipeline": [], **more}


def test_build_nested_data_sets_hands_defaults_to_the_innermost(coco_content, write_coco) -> None:
    cfg = {"type": "RepeatDataset", "times": 2, "dataset": [coco_cfg(coco_content, write_coco)] * 2}
    dataset = build_dataset(cfg, {"test_mode": True})
    assert len(dataset) == 2 * 2 * 6
    assert dataset.dataset.datasets[0].test_mode


def test_build_with_several_annotation_files_pairs_them_with_folders(coco_content, write_coco) -> None:
    cfg = coco_cfg(coco_content, write_coco, img_prefix=["a/", "b/"], separate_eval=True)
    dataset = build_dataset({**cfg, "ann_file": [cfg["ann_file"]] * 2})
    assert [each.img_prefix for each in dataset.datasets] == ["a/", "b/"]


def test_build_with_too_few_folders_raises(coco_content, write_coco) -> None:
    cfg = coco_cfg(coco_content, write_coco, img_prefix=["a/"])
    with pytest.raises(ValueError, match="img_prefix has 1 entries for 2"):
        build_dataset({**cfg, "ann_file": [cfg["ann_file"]] * 2})


def test_build_leaves_the_config_untouched(coco_content, write_coco) -> None:
    inner = coco_cfg(coco_content, write_coco)
    cfg = {"type": "RepeatDataset", "times": 2, "dataset": inner}
    build_dataset(cfg)
    assert cfg["dataset"] is inner
    assert isinstance(inner, dict)
