"""What YOLOX does along a run (arXiv:2107.08430): plain images at the end, another image size per epoch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from raydet.engine.environment import from_rank_0
from raydet.engine.hooks.base import Hook
from raydet.engine.parallel import unwrap


class YOLOXModeSwitchHook(Hook):
    """Trains the last epochs on plain images, and adds an L1 loss to a box head that has one (`use_l1`).

    The switch follows from the number of the epoch alone, so that a resumed run makes it, too.

    Args:
        num_last_epochs: how many epochs are trained so.
        skip_type_keys: transforms of the `MultiImageMixDataset` to leave out from then on.
    """

    def __init__(
        self, num_last_epochs: int = 15, skip_type_keys: Sequence[str] = ("Mosaic", "RandomAffine", "MixUp")
    ) -> None:
        self.num_last_epochs = num_last_epochs
        self.skip_type_keys = skip_type_keys
        self._switched = False

    def before_train_epoch(self, runner: Any) -> None:
        if self._switched or not in_last_epochs(runner, self.num_last_epochs, self):
            return
        self._switched = True
        dataset = _find(runner.data_loader.dataset, "update_skip_type_keys", self)
        dataset.update_skip_type_keys(self.skip_type_keys)
        runner.logger.info(f"No mosaic and mixup aug now! {', '.join(self.skip_type_keys)} are left out")
        head: Any = getattr(unwrap(runner.model), "bbox_head", None)
        if hasattr(head, "use_l1"):
            head.use_l1 = True
            runner.logger.info("Add additional L1 loss now!")


class SyncRandomSizeHook(Hook):
    """Draws the size of images for the next epoch, the same on all ranks.

    For data sets with a method `update_dynamic_scale((width, height))` that are read in the training process
    (`workers_per_gpu=0`). As in 2.x this is the old way; a `Resize` in the pipeline with several scales is the new one.

    Args:
        ratio_range: smallest and largest size, in units of 32 pixels.
        img_scale: its proportion of height to width is kept.
        interval: epochs between draws.
        device: accepted for 2.x configs.
    """

    def __init__(
        self,
        ratio_range: tuple[int, int] = (14, 26),
        img_scale: tuple[int, int] = (640, 640),
        interval: int = 1,
        device: str = "cuda",
    ) -> None:
        self.ratio_range = ratio_range
        self.img_scale = img_scale
        self.interval = interval

    def before_run(self, runner: Any) -> None:
        _find(runner.data_loader.dataset, "update_dynamic_scale", self)

    def after_train_epoch(self, runner: Any) -> None:
        if self.every_n_epochs(runner, self.interval):
            units = from_rank_0(runner.environment, random.randint(*self.ratio_range))
            scale = (32 * units, 32 * int(units * self.img_scale[1] / self.img_scale[0]))
            _find(runner.data_loader.dataset, "update_dynamic_scale", self).update_dynamic_scale(scale)


def in_last_epochs(runner: Any, count: int, hook: Hook) -> bool:
    """Whether the epoch that begins is the one before the last `count`, as 2.x counts, or a later one.

    Raises:
        ValueError: the run counts iterations.
    """
    if runner.max_epochs is None:
        raise ValueError(f"{type(hook).__name__} counts epochs; it needs runner.max_epochs, not max_iters")
    return bool(runner.epoch + 1 >= runner.max_epochs - count)


def _find(dataset: Any, method: str, hook: Hook) -> Any:
    """The outermost data set that has `method`."""
    place = dataset
    while not hasattr(place, method):
        if not hasattr(place, "dataset"):
            raise ValueError(
                f"{type(hook).__name__} needs a data set with {method}, such as MultiImageMixDataset, as data.train; "
                f"got {type(dataset).__name__}. Remove the hook from custom_hooks, or wrap the data set"
            )
        place = place.dataset
    return place
