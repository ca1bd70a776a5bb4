"""Data sets made of others: several in a row, one several times, rare classes more often."""

from __future__ import annotations

import bisect
import copy
import functools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset as TorchConcatDataset

from raydet.datasets.builder import build_all, build_dataset
from raydet.datasets.coco import CocoDataset
from raydet.datasets.log import LOGGER

_OF_A_SAMPLE = ("get_ann_info", "image_size", "image_level_labels")
"""What metrics ask data sets about one sample."""


class ConcatDataset(TorchConcatDataset[Any]):
    """Data sets one after another.

    Args:
        datasets: the parts, or their dicts.
        separate_eval: evaluate each part for itself; else all as one data set.
    """

    def __init__(self, datasets: Sequence[Any], separate_eval: bool = True) -> None:
        super().__init__(build_all(datasets))
        self.CLASSES = self.datasets[0].CLASSES  # type: ignore[attr-defined]
        self.PALETTE = getattr(self.datasets[0], "PALETTE", None)
        self.separate_eval = separate_eval
        if not separate_eval:
            self._check_joint_evaluation()
        if all(hasattr(each, "flag") for each in self.datasets):
            self.flag = np.concatenate([each.flag for each in self.datasets])  # type: ignore[attr-defined]

    def _check_joint_evaluation(self) -> None:
        if any(isinstance(each, CocoDataset) for each in self.datasets):
            raise NotImplementedError("data sets in COCO layout cannot be evaluated as one; set separate_eval=True")
        if len({type(each) for each in self.datasets}) != 1:
            raise NotImplementedError("only data sets of one type can be evaluated as one; set separate_eval=True")

    def locate(self, idx: int) -> tuple[Any, int]:
        """The part that holds sample `idx` (negative counts from the end), and its position there."""
        position = idx + len(self) if idx < 0 else idx
        if not 0 <= position < len(self):
            raise IndexError(f"index {idx} is outside a data set of {len(self)} samples")
        part = bisect.bisect_right(self.cumulative_sizes, position)
        return self.datasets[part], position - ([0, *self.cumulative_sizes][part])

    def get_cat_ids(self, idx: int) -> list[int]:
        """Categories of one sample."""
        return self._of_sample("get_cat_ids", idx)  # type: ignore[no-any-return]

    def get_ann_info(self, idx: int) -> Any:
        """Annotation of one sample."""
        return self._of_sample("get_ann_info", idx)

    def _of_sample(self, method: str, idx: int) -> Any:
        dataset, position = self.locate(idx)
        return getattr(dataset, method)(position)

    def get_cat2imgs(self) -> dict[int, list[int]]:
        """Positions of the samples that show each class."""
        starts = [0, *self.cumulative_sizes]
        merged: dict[int, list[int]] = {}
        for start, dataset in zip(starts, self.datasets, strict=False):
            for label, positions in dataset.get_cat2imgs().items():  # type: ignore[attr-defined]
                merged.setdefault(label, []).extend(start + position for position in positions)
        return merged

    def evaluate(self, results: Sequence[Any], logger: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Evaluate the parts; the numbers of part i begin with `i_` when they are evaluated separately."""
        if len(results) != len(self):
            raise ValueError(f"{len(results)} results for a data set of {len(self)} samples; expected one for each")
        if not self.separate_eval:
            return self._evaluate_jointly(results, logger, **kwargs)
        scores = {}
        ends = self.cumulative_sizes
        for part, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            dataset: Any = self.datasets[part]
            LOGGER.info("Evaluating data set %d: %r", part, dataset)
            found = dataset.evaluate(results[start:end], logger=logger, **kwargs)
            scores.update({f"{part}_{name}": value for name, value in found.items()})
        return scores

    def _evaluate_jointly(self, results: Sequence[Any], logger: Any, **kwargs: Any) -> dict[str, Any]:
        """Evaluate the first part with the samples of all; what is asked of a sample comes from its own part."""
        whole: Any = copy.copy(self.datasets[0])
        whole.data_infos = [info for each in self.datasets for info in each.data_infos]  # type: ignore[attr-defined]
        for method in _OF_A_SAMPLE:
            if hasattr(whole, method):
                setattr(whole, method, functools.partial(self._of_sample, method))
        return whole.evaluate(results, logger=logger, **kwargs)  # type: ignore[no-any-return]


class _Reordered:
    """A data set seen through a list of indices."""

    dataset: Any

    def _adopt(self, dataset: Any) -> None:
        self.dataset = build_dataset(dataset)
        self.CLASSES = self.dataset.CLASSES
        self.PALETTE = getattr(self.dataset, "PALETTE", None)

    def locate(self, idx: int) -> tuple[Any, int]:
        """The data set inside and the position of sample `idx` there."""
        raise NotImplementedError

    def __getitem__(self, idx: int) -> Any:
        dataset, position = self.locate(idx)
        return dataset[position]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Categories of one sample."""
        dataset, position = self.locate(idx)
        return dataset.get_cat_ids(position)  # type: ignore[no-any-return]

    def get_ann_info(self, idx: int) -> Any:
        """Annotation of one sample."""
        dataset, position = self.locate(idx)
        return dataset.get_ann_info(position)


class RepeatDataset(_Reordered):
    """A data set several times, so that an epoch lasts longer and less time goes into starting one.

    Args:
        dataset: the data set, or its dict.
        times: how often.
    """

    def __init__(self, dataset: Any, times: int) -> None:
        self._adopt(dataset)
        self.times = times
        self._ori_len = len(self.dataset)
        if hasattr(self.dataset, "flag"):
            self.flag = np.tile(self.dataset.flag, times)

    def locate(self, idx: int) -> tuple[Any, int]:
        return self.dataset, idx % self._ori_len

    def get_cat2imgs(self) -> dict[int, list[int]]:
        """Positions of the samples that show each class."""
        starts = range(0, len(self), self._ori_len)
        once = self.dataset.get_cat2imgs()
        return {label: [start + i for start in starts for i in positions] for label, positions in once.items()}

    def __len__(self) -> int:
        return self.times * self._ori_len


class ClassBalancedDataset(_Reordered):
    """Images with rare classes more often (LVIS, arXiv:1908.03195).

    With f the fraction of images that show a class, its images are repeated `max(1, sqrt(oversample_thr / f))` times,
    rounded up; the rarest class of an image decides.

    Args:
        dataset: the data set, or its dict; must have `get_cat_ids`.
        oversample_thr: classes in a smaller fraction of the images are repeated.
        filter_empty_gt: False treats images without objects as a class of its own.
    """

    def __init__(self, dataset: Any, oversample_thr: float, filter_empty_gt: bool = True) -> None:
        self._adopt(dataset)
        self.oversample_thr = oversample_thr
        self.filter_empty_gt = filter_empty_gt
        factors = self._get_repeat_factors(self.dataset, oversample_thr)
        self.repeat_factors = factors
        self.repeat_indices = [i for i, factor in enumerate(factors) for _ in range(math.ceil(factor))]
        if hasattr(self.dataset, "flag"):
            self.flag = np.asarray(self.dataset.flag)[self.repeat_indices]

    def _get_repeat_factors(self, dataset: Any, repeat_thr: float) -> list[float]:
        """How often each image is to be seen."""
        classes = [self._classes_of(dataset, i) for i in range(len(dataset))]
        frequency = Counter(category for present in classes for category in present)
        factor = {
            category: max(1.0, math.sqrt(repeat_thr * len(dataset) / count)) for category, count in frequency.items()
        }
        return [max((factor[category] for category in present), default=1.0) for present in classes]

    def _classes_of(self, dataset: Any, idx: int) -> set[int]:
        present = set(dataset.get_cat_ids(idx))
        return present or (set() if self.filter_empty_gt else {len(self.CLASSES)})

    def locate(self, idx: int) -> tuple[Any, int]:
        return self.dataset, self.repeat_indices[idx]

    def __len__(self) -> int:
        return len(self.repeat_indices)
