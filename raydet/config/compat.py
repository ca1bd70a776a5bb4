"""Older spellings of configs, and values that come from the environment or from other keys."""

from __future__ import annotations

import os
import re
import warnings
from copy import deepcopy
from typing import Any

from raydet.config.config import Config
from raydet.config.config_dict import ConfigDict
from raydet.config.errors import ConfigKeyError, ConfigTypeError

DATASETS_VARIABLE = "MMDET_DATASETS"
_REFERENCE = re.compile(r"\$\{([\w.]*)\}", re.ASCII)
_PARTS = ("train", "val", "test")


def compat_cfg(cfg: Config) -> Config:
    """A copy of `cfg` in which older spellings are replaced by `data.*_dataloader` and `runner`.

    Raises:
        ConfigKeyError: an old and a new spelling contradict each other.
    """
    cfg = deepcopy(cfg)
    if "data" in cfg:
        _rename_imgs_per_gpu(cfg.data)
        _fill_loaders(cfg.data)
    _fill_runner(cfg)
    return cfg


def _rename_imgs_per_gpu(data: ConfigDict) -> None:
    if "imgs_per_gpu" not in data:
        return
    images = data.imgs_per_gpu
    if "samples_per_gpu" in data:
        detail = f"both imgs_per_gpu={images} and samples_per_gpu={data.samples_per_gpu} are given; {images} is used"
    else:
        detail = f"samples_per_gpu={images} is used"
    warnings.warn(f"data.imgs_per_gpu is deprecated, write samples_per_gpu instead; {detail}", stacklevel=3)
    data.samples_per_gpu = images


def _fill_loaders(data: ConfigDict) -> None:
    for part in _PARTS:
        data.setdefault(f"{part}_dataloader", ConfigDict())
    for key in ("samples_per_gpu", "persistent_workers"):
        if key in data:
            _move(data, key, data.train_dataloader)
    if "workers_per_gpu" in data:
        workers = data.pop("workers_per_gpu")
        for part in _PARTS:
            data[f"{part}_dataloader"]["workers_per_gpu"] = workers
    for part in ("val", "test"):
        _lift_samples(data.get(part), data[f"{part}_dataloader"])


def _lift_samples(datasets: Any, loader: ConfigDict) -> None:
    """Move `samples_per_gpu` from one or several data sets to their loader; of several the largest counts."""
    several = datasets if isinstance(datasets, (list, tuple)) else [datasets]
    holders = [each for each in several if isinstance(each, dict) and "samples_per_gpu" in each]
    if isinstance(datasets, dict) and holders:
        _move(holders[0], "samples_per_gpu", loader)
    elif holders:
        _refuse_both("samples_per_gpu", loader, holders[0])
        loader["samples_per_gpu"] = max(each.pop("samples_per_gpu", 1) for each in several)


def _move(source: dict[str, Any], key: str, loader: ConfigDict) -> None:
    _refuse_both(key, loader, source)
    loader[key] = source.pop(key)


def _refuse_both(key: str, loader: ConfigDict, source: dict[str, Any]) -> None:
    if key in loader:
        place = source.where(key) if isinstance(source, ConfigDict) else None
        raise ConfigKeyError(f"{key!r} is given both here and in the data loader; keep the one of the loader", place)


def _fill_runner(cfg: Config) -> None:
    if "runner" not in cfg:
        if "total_epochs" not in cfg:
            return
        cfg.runner = ConfigDict(type="EpochBasedRunner", max_epochs=cfg.total_epochs)
        warnings.warn("total_epochs is deprecated, write runner = dict(type='EpochBasedRunner', max_epochs=...)")
    elif "total_epochs" in cfg and cfg.total_epochs != cfg.runner.get("max_epochs"):
        raise ConfigKeyError(
            f"total_epochs={cfg.total_epochs} contradicts runner.max_epochs={cfg.runner.get('max_epochs')}; "
            "remove total_epochs",
            cfg.where("total_epochs"),
        )


def update_data_root(cfg: Config, logger: Any = None) -> None:
    """Replace `cfg.data_root` in `cfg.data` by the folder in the environment variable MMDET_DATASETS, in place."""
    root = os.environ.get(DATASETS_VARIABLE)
    if root is None or "data_root" not in cfg:
        return
    if logger is not None:
        logger.info("%s is set; the data root %s is replaced by %s", DATASETS_VARIABLE, cfg.data_root, root)
    _replace_texts(cfg.data, cfg.data_root, root)
    cfg.data_root = root


def _replace_texts(values: ConfigDict, old: str, new: str) -> None:
    for key, value in values.items():
        if isinstance(value, ConfigDict):
            _replace_texts(value, old, new)
        elif isinstance(value, str) and old in value:
            values[key] = value.replace(old, new)


def replace_cfg_vals(cfg: Config) -> Config:
    """A config in which `${a.b}` in texts is replaced by the value of that key.

    A text that is nothing but `${a.b}` becomes the value itself; within a longer text only plain values may stand. If
    there is a `model_wrapper`, it takes the place of `model`.

    Raises:
        ConfigKeyError: no such key.
        ConfigTypeError: a dict or list within a longer text.
    """
    values = _replace_references(cfg._cfg_dict, cfg._cfg_dict, None)
    updated = Config(values, cfg.text, cfg.filename)
    if updated.get("model_wrapper") is not None:
        updated.model = updated.pop("model_wrapper")
    return updated


def _replace_references(value: Any, root: ConfigDict, place: str | None) -> Any:
    if isinstance(value, ConfigDict):
        replaced = value.copy()
        for key, item in value.items():
            dict.__setitem__(replaced, key, _replace_references(item, root, value.where(key)))
        return replaced
    if type(value) in (list, tuple):
        return type(value)(_replace_references(item, root, place) for item in value)
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return deepcopy(_referred(root, whole[1], place))
    return _REFERENCE.sub(lambda match: _as_text(match[1], root, place), value)


def _referred(root: ConfigDict, dotted: str, place: str | None) -> Any:
    value: Any = root
    for key in dotted.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ConfigKeyError(f"${{{dotted}}} refers to a key that does not exist (at {key!r})", place)
        value = value[key]
    return value


def _as_text(dotted: str, root: ConfigDict, place: str | None) -> str:
    value = _referred(root, dotted, place)
    if isinstance(value, (dict, list, tuple)):
        kind = "dict" if isinstance(value, dict) else type(value).__name__
        raise ConfigTypeError(f"${{{dotted}}} is a {kind}, which cannot stand within a text", place)
    return str(value)
