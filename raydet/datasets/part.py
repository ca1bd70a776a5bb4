"""A fixed part of a data set, for evaluations that are to be quick and comparable."""

from __future__ import annotations

from typing import Any

import numpy as np

from raydet.datasets.custom import CustomDataset
from raydet.datasets.wrappers import ConcatDataset


def keep_part(dataset: Any, fraction: float) -> None:
    """Leave a part of the samples in a data set: every so many of them, the same ones each time.

    Args:
        dataset: changed in place; several in a row are each reduced to the same part.
        fraction: of the samples, in (0, 1]; one sample stays at least.

    Raises:
        ValueError: the fraction is outside its range.
        TypeError: samples of this data set cannot be left out.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"the part of a data set is a fraction in (0, 1], got {fraction}")
    if fraction == 1:
        return
    if isinstance(dataset, ConcatDataset):
        for each in dataset.datasets:
            keep_part(each, fraction)
        dataset.cumulative_sizes = dataset.cumsum(dataset.datasets)  # type: ignore[no-untyped-call]
    elif isinstance(dataset, CustomDataset):
        count = max(1, round(len(dataset) * fraction))
        dataset._keep(np.linspace(0, len(dataset), count, endpoint=False).astype(int).tolist())
        dataset._set_group_flag()
    else:
        raise TypeError(
            f"no part of a {type(dataset).__name__} can be kept; evaluate on all of it (val_fraction: 1), or derive it "
            "from CustomDataset"
        )
