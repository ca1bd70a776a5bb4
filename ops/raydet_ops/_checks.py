"""What operators ask of their arguments before a kernel trusts them."""

from __future__ import annotations

from torch import Tensor


def check_tensors(**tensors: Tensor) -> None:
    """Refuse what is not a tensor, and tensors of different devices."""
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    devices = {name: str(value.device) for name, value in tensors.items()}
    if len(set(devices.values())) > 1:
        raise ValueError(f"all tensors must be on one device, got {_listed(devices)}")


def check_floating(**tensors: Tensor) -> None:
    """Refuse tensors that are not of floating point."""
    for name, value in tensors.items():
        if not value.is_floating_point():
            raise TypeError(f"{name} must be a floating tensor, got {value.dtype}")


def check_integers(**tensors: Tensor) -> None:
    """Refuse tensors that are not of integers."""
    for name, value in tensors.items():
        if value.is_floating_point() or value.is_complex():
            raise TypeError(f"{name} must be a tensor of integers, got {value.dtype}")


def check_shape(name: str, value: Tensor, *expected: int | str) -> None:
    """Refuse another shape than `expected`, where a letter stands for any size."""
    fits = len(expected) == value.ndim and all(
        isinstance(wanted, str) or wanted == size for wanted, size in zip(expected, value.shape, strict=True)
    )
    if not fits:
        pattern = ", ".join(str(wanted) for wanted in expected)
        raise ValueError(f"{name} must have shape ({pattern}), got {tuple(value.shape)}")


def check_positive(**numbers: int) -> None:
    """Refuse numbers that are not integers of at least 1."""
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def check_pair(name: str, value: int | tuple[int, int], least: int) -> tuple[int, int]:
    """One or two integers of at least `least`, as a pair."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or any(not isinstance(number, int) or number < least for number in pair):
        raise ValueError(f"{name} must be one or two integers of at least {least}, got {value!r}")
    return pair


def check_reduction(reduction: str) -> None:
    """Refuse unknown reductions."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def _listed(values: dict[str, str]) -> str:
    return ", ".join(f"{name} on {value}" for name, value in values.items())
