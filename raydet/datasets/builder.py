"""Data sets from configs, also lists of them and nested ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raydet.datasets.log import say_once
from raydet.registry import DATASETS
from raydet.registry import TRANSFORMS as PIPELINES

__all__ = ["DATASETS", "PIPELINES", "build_all", "build_dataset"]

_WRAPPERS = ("ConcatDataset", "RepeatDataset", "ClassBalancedDataset", "MultiImageMixDataset")


def build_dataset(cfg: Any, default_args: Mapping[str, Any] | None = None) -> Any:
    """Build a data set.

    Args:
        cfg: its dict; a list of dicts is concatenated, and so is a dict whose `ann_file` is a list.
        default_args: arguments for every innermost data set that does not set them.
    """
    if isinstance(cfg, (list, tuple)):
        return DATASETS.build({"type": "ConcatDataset", "datasets": build_all(cfg, default_args)})
    if not isinstance(cfg, Mapping):
        return DATASETS.build(cfg)
    if cfg.get("type") in _WRAPPERS:
        return DATASETS.build(_with_children(cfg, default_args))
    if isinstance(cfg.get("ann_file"), (list, tuple)):
        return _concatenated(cfg, default_args)
    return DATASETS.build(cfg, default_args)


def build_all(cfgs: Sequence[Any], default_args: Mapping[str, Any] | None = None) -> list[Any]:
    """Build each data set of a list."""
    return [build_dataset(each, default_args) for each in cfgs]


def _with_children(cfg: Mapping[str, Any], default_args: Mapping[str, Any] | None) -> dict[str, Any]:
    """The dict of a wrapper with built data sets inside."""
    built = dict(cfg)
    if "datasets" in built:
        built["datasets"] = build_all(built["datasets"], default_args)
    if "dataset" in built:
        built["dataset"] = build_dataset(built["dataset"], default_args)
    if built.get("type") == "ClassBalancedDataset" and "filter_empty_gt" in built:
        # 2.x never hands this argument on, so configs that set it were trained without it.
        value = built.pop("filter_empty_gt")
        say_once(f"filter_empty_gt={value} of a ClassBalancedDataset has no effect in a config, as in 2.x")
    return built


def _concatenated(cfg: Mapping[str, Any], default_args: Mapping[str, Any] | None) -> Any:
    """One data set per annotation file; the other paths are lists of the same length, or serve for all."""
    arguments = {
        "datasets": build_all(_one_per_file(cfg), default_args),
        "separate_eval": cfg.get("separate_eval", True),
    }
    return DATASETS.build({"type": "ConcatDataset", **arguments})


def _one_per_file(cfg: Mapping[str, Any]) -> list[dict[str, Any]]:
    common = {key: value for key, value in cfg.items() if key != "separate_eval"}
    count = len(cfg["ann_file"])
    return [{**common, **{key: _nth(cfg, key, i, count) for key in _PATHS if key in cfg}} for i in range(count)]


def split_section(cfg: Any) -> list[Mapping[str, Any]]:
    """The dicts of all innermost data sets of a dict or list that `build_dataset` takes, each once."""
    if isinstance(cfg, (list, tuple)):
        return [part for each in cfg for part in split_section(each)]
    if cfg.get("type") in _WRAPPERS:
        return split_section(cfg["datasets"] if "datasets" in cfg else cfg["dataset"])
    return _one_per_file(cfg) if isinstance(cfg.get("ann_file"), (list, tuple)) else [cfg]  # type: ignore[return-value]


_PATHS = ("ann_file", "img_prefix", "seg_prefix", "proposal_file")


def _nth(cfg: Mapping[str, Any], key: str, index: int, count: int) -> Any:
    value = cfg[key]
    if not isinstance(value, (list, tuple)):
        return value
    if len(value) != count:
        raise ValueError(
            f"{key} has {len(value)} entries for {count} annotation files; give one for each or one for all"
        )
    return value[index]
