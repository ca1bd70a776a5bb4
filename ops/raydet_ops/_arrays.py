"""Operators take arrays as well as tensors and answer in kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_tensor(value: Tensor | np.ndarray) -> Tensor:
    """`value` as a tensor that shares its memory."""
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def widened(value: Tensor) -> Tensor:
    """`value` in single precision if it comes in half: areas and shifted boxes leave its range."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def as_given(result: Tensor, given: Tensor | np.ndarray) -> Any:
    """`result` as an array when `given` is one, else as a tensor on the device of `given`."""
    return result.cpu().numpy() if isinstance(given, np.ndarray) else result.to(given.device)
