"""A pipeline is itself a transform."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from raydet.registry import TRANSFORMS
from raydet.transforms.base import Results


class Compose:
    """Transforms one after another.

    Args:
        transforms: callables on the sample dict, or the dicts that describe registered ones.
    """

    def __init__(self, transforms: Iterable[Any]) -> None:
        self.transforms: list[Callable[[Results], Results | None]] = [_build(each) for each in transforms]

    def __call__(self, results: Results) -> Results | None:
        sample: Results | None = results
        for transform in self.transforms:
            if sample is None:
                return None
            sample = transform(sample)
        return sample

    def __repr__(self) -> str:
        return "\n".join(["Compose(", *(f"    {each!r}" for each in self.transforms), ")"])


def _build(transform: Any) -> Callable[[Results], Results | None]:
    if isinstance(transform, Mapping):
        transform = TRANSFORMS.build(transform)
    if not callable(transform):
        raise TypeError(f"a pipeline consists of callables and of dicts with the key 'type', got {transform!r}")
    return transform  # type: ignore[no-any-return]
