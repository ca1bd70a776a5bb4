"""Draw one of several pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from raydet.transforms.base import Results, Transform
from raydet.transforms.compose import Compose


class AutoAugment(Transform):
    """Run one of the policies, each with the same chance (arXiv:1906.11172).

    Args:
        policies: pipelines, each a list of transforms or of their dicts.
    """

    def __init__(self, policies: Sequence[Sequence[Any]]) -> None:
        if not policies or not all(isinstance(policy, (list, tuple)) and policy for policy in policies):
            raise ValueError(f"policies must be a list of lists of transforms, none empty, got {policies!r}")
        self.policies = policies
        self.transforms = [Compose(policy) for policy in policies]

    def draw(self, results: Results) -> int:
        """Which policy."""
        return np.random.randint(len(self.transforms))

    def apply(self, results: Results, params: int) -> Results | None:
        return self.transforms[params](results)
