"""Random draws of a sample depend on its place in the plan, not on the process or the order in which it is made."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


def sample_seed(seed: int, epoch: int, position: int) -> int:
    """The seed of the sample at `position` in the plan of `epoch`, in [0, 2^32)."""
    mixed = np.random.SeedSequence([seed % 2**32, epoch, position])
    return int(mixed.generate_state(1)[0])


@contextlib.contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Inside, `random`, `numpy.random` and torch on the CPU draw from `seed`; afterwards they go on as before."""
    before = (random.getstate(), np.random.get_state(), torch.get_rng_state())
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
