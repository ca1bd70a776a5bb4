"""A data set whose samples are made of several of another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from raydet.datasets.bad_samples import placeholder_of
from raydet.datasets.builder import build_dataset
from raydet.registry import TRANSFORMS
from raydet.transforms.base import Results


class MultiImageMixDataset:
    """A data set with a second pipeline, whose transforms may ask for further samples (Mosaic, MixUp, CopyPaste).

    A transform asks by a method `get_indexes(dataset)`, which returns one index or several; it finds the samples under
    `mix_results`. A transform that gives a sample up is tried again, so it must not write into the sample's arrays.

    Args:
        dataset: the inner data set, or its dict; its pipeline loads.
        pipeline: dicts of the transforms that follow.
        dynamic_scale: no longer used, as in 2.x; resize in the pipeline.
        skip_type_keys: types of the pipeline to leave out for now; see `update_skip_type_keys`.
        max_refetch: how often other samples are drawn, and a transform is tried, before giving up.
    """

    def __init__(
        self,
        dataset: Any,
        pipeline: Sequence[Any],
        dynamic_scale: Any = None,
        skip_type_keys: Sequence[str] | None = None,
        max_refetch: int = 15,
    ) -> None:
        if dynamic_scale is not None:
            raise RuntimeError("MultiImageMixDataset has no dynamic_scale any more; put a Resize into its pipeline")
        if not all(isinstance(each, dict) and "type" in each for each in pipeline):
            raise TypeError(f"the pipeline of a MultiImageMixDataset consists of dicts with 'type', got {pipeline!r}")
        self.update_skip_type_keys(skip_type_keys or ())
        self.pipeline_types = [each["type"] for each in pipeline]
        self.pipeline = [TRANSFORMS.build(each) for each in pipeline]
        self.dataset = build_dataset(dataset)
        self.CLASSES = self.dataset.CLASSES
        self.PALETTE = getattr(self.dataset, "PALETTE", None)
        if hasattr(self.dataset, "flag"):
            self.flag = self.dataset.flag
        self.num_samples = len(self.dataset)
        self.max_refetch = max_refetch

    def update_skip_type_keys(self, skip_type_keys: Sequence[str]) -> None:
        """Leave these types out from now on; carriers notice it at the next epoch."""
        if not all(isinstance(each, str) for each in skip_type_keys):
            raise TypeError(f"skip_type_keys must be names of transforms, got {skip_type_keys!r}")
        self.skip_type_keys = tuple(skip_type_keys)

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, idx: int) -> Results:
        return self._mix(self.dataset[idx], self.dataset.__getitem__)

    def placeholder(self, idx: int) -> Results:
        """The sample of a file that cannot be read: black images without objects, mixed."""
        black = dict(placeholder_of(self.dataset, idx))
        return self._mix(black, lambda index: dict(black))

    def locate(self, idx: int) -> tuple[Any, int]:
        """The inner data set, and the position of sample `idx` there."""
        return self.dataset, idx

    def get_cat_ids(self, idx: int) -> list[int]:
        """Categories of one sample before mixing."""
        return self.dataset.get_cat_ids(idx)  # type: ignore[no-any-return]

    def get_ann_info(self, idx: int) -> Any:
        """Annotation of one sample before mixing."""
        return self.dataset.get_ann_info(idx)

    def get_cat2imgs(self) -> dict[int, list[int]]:
        """Positions of the samples that show each class."""
        return self.dataset.get_cat2imgs()  # type: ignore[no-any-return]

    def _mix(self, sample: Results, load: Callable[[int], Results | None]) -> Results:
        for kind, transform in zip(self.pipeline_types, self.pipeline, strict=True):
            if kind in self.skip_type_keys:
                continue
            partners = {}
            if hasattr(transform, "get_indexes"):
                partners = {"mix_results": self._draw_partners(transform, load)}
            sample = self._apply(transform, {**sample, **partners})
            sample.pop("mix_results", None)
        return sample

    def _draw_partners(self, transform: Any, load: Callable[[int], Results | None]) -> list[Results]:
        for _ in range(self.max_refetch):
            indexes = transform.get_indexes(self.dataset)
            loaded = [load(index) for index in (indexes if isinstance(indexes, Sequence) else [indexes])]
            partners = [partner for partner in loaded if partner is not None]
            if len(partners) == len(loaded):
                return partners
        raise RuntimeError(f"the inner data set gave no samples for {transform!r} {self.max_refetch} times in a row")

    def _apply(self, transform: Any, sample: Results) -> Results:
        for _ in range(self.max_refetch):
            changed: Results | None = transform(dict(sample))
            if changed is not None:
                return changed
        raise RuntimeError(f"{transform!r} gave the sample up {self.max_refetch} times in a row; check the pipelines")


def skipped_types(dataset: Any) -> tuple[Any, ...]:
    """What the `MultiImageMixDataset`s in a tree of data sets leave out at the moment."""
    inner = [dataset.dataset] if hasattr(dataset, "dataset") else list(getattr(dataset, "datasets", ()))
    return (*getattr(dataset, "skip_type_keys", ()), *(skipped_types(each) for each in inner))
