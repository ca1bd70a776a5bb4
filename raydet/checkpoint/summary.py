"""What a checkpoint holds, in a few facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from raydet.checkpoint.adapters import ADAPTERS


def summarize(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Facts by name, fit for JSON: who wrote it and when, classes, tensors, and what a run could go on with.

    Args:
        checkpoint: `meta`, `state_dict`, and maybe `optimizer`.
    """
    meta, state = checkpoint["meta"], checkpoint["state_dict"]
    weights = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    own = {name: value for name, value in weights.items() if not name.startswith("ema_")}
    facts: dict[str, Any] = {key: meta[key] for key in meta if key.endswith("_version") or key in ("time", "exp_name")}
    facts |= {key: meta[key] for key in ("epoch", "iter", "seed") if key in meta}
    facts["classes"] = list(meta["CLASSES"]) if meta.get("CLASSES") is not None else None
    facts["config"] = bool(meta.get("config"))
    facts["tensors"] = len(own)
    facts["parameters"] = sum(value.numel() for value in own.values())
    facts["bytes"] = sum(value.numel() * value.element_size() for value in weights.values())
    facts["types"] = dict(Counter(str(value.dtype).removeprefix("torch.") for value in own.values()))
    facts["parts"] = _parts(own)
    facts["averaged weights"] = len(weights) - len(own)
    facts["optimizer"] = "optimizer" in checkpoint
    facts["exact resume"] = "raydet" in meta
    family = next((each.name for each in ADAPTERS if each.recognises(own)), None)
    return {**facts, **({"keys of": family} if family else {})}


def _parts(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Numbers in each part of the model."""
    sizes: Counter[str] = Counter()
    for name, value in weights.items():
        sizes[name.partition(".")[0]] += value.numel()
    return dict(sizes)
