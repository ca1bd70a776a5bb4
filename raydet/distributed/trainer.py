"""Ray Train's trainer without the helper processes that a run of raydet has no use for.

Each process of Ray wakes a hundred times a second; beside workers that take all cores that costs half a percent of one.
"""

from __future__ import annotations

from typing import Any

from ray.train.torch import TorchTrainer

_UNUSED = {"DatasetsCallback"}  # batches come through streams of raydet's own
_FOR_OTHERS = {"PlacementGroupCleanerCallback"}  # a cluster that ends with its run leaves no reservations behind


class LeanTrainer(TorchTrainer):
    """A `TorchTrainer` with fewer actors beside its workers.

    Args:
        alone: the cluster ends with the run.
        arguments: of `TorchTrainer`.
    """

    def __init__(self, *arguments: Any, alone: bool, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._leaves_out = _UNUSED | (_FOR_OTHERS if alone else set())

    def _create_default_callbacks(self) -> list[Any]:
        return [each for each in super()._create_default_callbacks() if type(each).__name__ not in self._leaves_out]
