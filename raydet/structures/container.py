"""The 2.x wrapper that says how a field of a sample joins a batch."""

from __future__ import annotations

from typing import Any


class DataContainer:
    """A value with its rule for batching, as the 2.x formatting transforms emit it.

    Collation (`raydet.datasets.collate`) is the only reader.

    Args:
        data: the value.
        stack: stack the values of a batch into one tensor after padding them to one size.
        padding_value: fills the padding.
        cpu_only: keep the values as a list on the CPU.
        pad_dims: how many trailing dimensions to pad (None, 1, 2 or 3).
    """

    def __init__(
        self, data: Any, stack: bool = False, padding_value: float = 0, cpu_only: bool = False, pad_dims: int | None = 2
    ) -> None:
        if pad_dims not in (None, 1, 2, 3):
            raise ValueError(f"pad_dims must be None, 1, 2 or 3, got {pad_dims!r}")
        self.data = data
        self.stack = stack
        self.padding_value = padding_value
        self.cpu_only = cpu_only
        self.pad_dims = pad_dims

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"DataContainer({self.data!r}, stack={self.stack}, cpu_only={self.cpu_only})"
