"""Seeds and states of the random generators of a process."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch


def set_random_seed(seed: int, deterministic: bool = False, use_rank_shift: bool = False, rank: int = 0) -> None:
    """Seed python, numpy and torch (every device).

    Args:
        seed: in [0, 2**32).
        deterministic: also make cuDNN choose deterministic kernels without trying them out.
        use_rank_shift: add `rank` to the seed, for draws that should differ between the processes of a run.
        rank: of this process.
    """
    if use_rank_shift:
        seed += rank
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if deterministic:
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def snapshot_random() -> dict[str, Any]:
    """States of all generators as they give them, which is quick."""
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def plain_random_state(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """A snapshot as plain data and tensors, fit for a checkpoint."""
    version, words, gauss = snapshot["python"]
    name, keys, position, has_gauss, cached = cast(tuple[str, np.ndarray, int, int, float], snapshot["numpy"])
    return {
        "python": [version, torch.tensor(words), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(cached)],
        **{device: snapshot[device].cpu() for device in ("torch", "cuda") if device in snapshot},
    }


def random_state() -> dict[str, Any]:
    """States of all generators, fit for a checkpoint."""
    return plain_random_state(snapshot_random())


def load_random_state(state: Mapping[str, Any]) -> None:
    """Put the generators back to what `random_state` gave."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu().to(torch.uint8))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu().to(torch.uint8))
