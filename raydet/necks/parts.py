"""What necks start from: an initialisation, and which levels they read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from raydet.layers import Cfg

XAVIER: Cfg = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform"}


def end_of_levels(num_ins: int, num_outs: int, start_level: int, end_level: int) -> int:
    """One past the last input level that a pyramid uses.

    Args:
        num_ins: number of input levels.
        num_outs: number of output levels.
        start_level: first input level used.
        end_level: last input level used; -1 for the last there is, from which extra levels may follow.

    Raises:
        ValueError: numbers that contradict each other.
    """
    if end_level in (-1, num_ins - 1):
        if num_outs < num_ins - start_level:
            raise ValueError(f"num_outs must be at least {num_ins - start_level} (levels used), got {num_outs}")
        return num_ins
    if not start_level <= end_level < num_ins:
        raise ValueError(f"end_level must be -1 or in [{start_level}, {num_ins - 1}], got {end_level}")
    if num_outs != end_level - start_level + 1:
        raise ValueError(
            f"with end_level={end_level} there are no extra levels: num_outs must be {end_level - start_level + 1}, "
            f"got {num_outs}"
        )
    return end_level + 1


def entry_levels(neck: Any, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The levels that the stages of a neck start from: its lateral maps, and shrunken ones that follow them.

    Args:
        neck: has `num_ins`, `start_level`, `end`, `lateral_convs` and `extra_downsamples`.
        inputs: a map `(N, C_l, H_l, W_l)` for each level.
    """
    check_levels(neck, inputs, neck.num_ins)
    used = inputs[neck.start_level : neck.end]
    levels = [conv(x) for conv, x in zip(neck.lateral_convs, used, strict=True)]
    for shrink in neck.extra_downsamples:
        levels.append(shrink(levels[-1]))
    return levels


def check_levels(neck: nn.Module, inputs: Sequence[Tensor], wanted: int) -> None:
    """Raise a ValueError unless there are as many maps as the neck was built for."""
    if len(inputs) != wanted:
        raise ValueError(f"{type(neck).__name__} was built for {wanted} input levels, got {len(inputs)}")
