"""From a batch of the plan to a batch of data, in whatever process: seeding, bad samples, collation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raydet.datasets.bad_samples import BAD_SAMPLES, BadSamplePolicy, describe, placeholder_of
from raydet.datasets.collate import Batch, Empty, collate, new_memory
from raydet.datasets.device import without_normalization
from raydet.datasets.order import flags_of
from raydet.datasets.pixels import NORM_SPEC
from raydet.datasets.plan import Draw
from raydet.datasets.seeding import drawn_from
from raydet.transforms.files import BadSampleError

_ATTEMPTS = 16


class BatchReader:
    """Makes batches of a data set; both carriers use it, so both give the same ones.

    Args:
        dataset: a map-style data set.
        policy: what to do with samples that cannot be read.
        defer_normalization: leave images uint8 where the pipeline allows it; the batch then carries a `NormSpec`.

    Attributes:
        empty: makes the tensors that images are stacked in.
    """

    empty: Empty = staticmethod(new_memory)

    def __init__(self, dataset: Any, policy: BadSamplePolicy | None = None, defer_normalization: bool = True) -> None:
        self.policy = policy or BadSamplePolicy()
        self.dataset, self.norm_spec = without_normalization(dataset) if defer_normalization else (dataset, None)

    def __call__(self, draws: Sequence[Draw]) -> Batch:
        """Read, transform and collate the samples of one batch.

        Bad samples that were replaced are listed under `BAD_SAMPLES`.

        Raises:
            BadSampleError: a sample cannot be read and the policy is "fail".
        """
        bad: list[dict[str, Any]] = []
        batch = collate([self._sample(Draw(*draw), bad) for draw in draws], self.empty)
        if self.norm_spec is not None:
            batch[NORM_SPEC] = self.norm_spec
        if bad:
            batch[BAD_SAMPLES] = bad
        return batch

    __getitem__ = __call__

    def __len__(self) -> int:
        return len(self.dataset)

    def _sample(self, draw: Draw, bad: list[dict[str, Any]]) -> Mapping[str, Any]:
        with drawn_from(draw.seed):
            try:
                return self.dataset[draw.sample]  # type: ignore[no-any-return]
            except (OSError, ValueError) as error:
                record = describe(self.dataset, draw.sample, error)
            if self.policy.kind == "fail":
                raise BadSampleError(f"sample {draw.sample} cannot be used: {record['error']}; {_REMEDY}")
            bad.append(record)
            return self._replacement(draw, bad)

    def _replacement(self, draw: Draw, bad: list[dict[str, Any]]) -> Mapping[str, Any]:
        """What stands in for a bad sample; the same on every run, since it depends on the draw alone."""
        if self.policy.kind == "placeholder":
            return placeholder_of(self.dataset, draw.sample)
        random = np.random.default_rng(draw.seed)
        for index in random.choice(_others(self.dataset, draw.sample), _ATTEMPTS).tolist():
            try:
                return self.dataset[index]  # type: ignore[no-any-return]
            except (OSError, ValueError) as error:
                bad.append(describe(self.dataset, index, error))
        raise BadSampleError(
            f"{_ATTEMPTS} replacements of sample {draw.sample} cannot be used either: {bad[-1]['error']}"
        )


_REMEDY = "repair or remove it, or set data.bad_samples=dict(policy='skip')"


def _others(dataset: Any, index: int) -> np.ndarray:
    """Samples of the same group, or of any group when there is no other."""
    flag, everything = flags_of(dataset), np.arange(len(dataset))
    others = everything[(flag == flag[index]) & (everything != index)]
    return others if len(others) else everything
