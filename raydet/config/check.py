"""Finds every unknown name and argument in a config before anything is built."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raydet import registry
from raydet.config.config import Config
from raydet.config.config_dict import ConfigDict
from raydet.config.errors import ConfigError
from raydet.registry import Registry, accepted_arguments, argument_errors, nearest

_TOP_LEVEL = """
    auto_resume auto_scale_lr avoid_oom channels_last checkpoint_config cudnn_benchmark custom_hooks custom_imports data
    deterministic device diff_seed dist_params distributed elastic evaluation fault_tolerance find_unused_parameters
    fp16 gpu_ids launcher load_from log_config log_level lr_config model model_wrapper momentum_config mp_start_method
    nan_guard network opencv_num_threads optimizer optimizer_config profiler resume_from runner seed test_cfg
    torch_compile total_epochs train_cfg work_dir workflow
"""
_DATA = """
    bad_samples device_normalize imgs_per_gpu persistent_workers samples_per_gpu test test_dataloader train
    train_dataloader val val_dataloader workers_per_gpu
"""
TOP_LEVEL_KEYS = frozenset(_TOP_LEVEL.split())
DATA_KEYS = frozenset(_DATA.split())
NMS_TYPES = ("nms", "soft_nms")
DISTRIBUTED_TYPES = ("ddp", "fsdp2")
ADAPTIVE_TYPES = ("dilation", "offset")  # of the convolutions of Cascade RPN
TRANSITION_TYPES = ("conv", "interpolation_conv", "last_conv", "identity")  # of the neck FPG
_OPAQUE = ("file_client_args", "custom_imports", "auto_scale_lr", "dist_params", "profiler", "keymap")
_FOREIGN = ("Albu",)  # the types within belong to another library
_SUFFIXES: tuple[tuple[str, Registry], ...] = (
    ("backbone", registry.BACKBONES),
    ("neck", registry.NECKS),
    ("shared_head", registry.SHARED_HEADS),
    ("head", registry.HEADS),
    ("roi_extractor", registry.ROI_EXTRACTORS),
    ("assigner", registry.ASSIGNERS),
    ("sampler", registry.SAMPLERS),
    ("bbox_coder", registry.BBOX_CODERS),
    ("iou_calculator", registry.IOU_CALCULATORS),
    ("_cost", registry.MATCH_COSTS),
    ("_generator", registry.PRIOR_GENERATORS),
    ("init_cfg", registry.INITIALIZERS),
    ("override", registry.INITIALIZERS),
    ("conv_cfg", registry.LAYERS),
    ("norm_cfg", registry.LAYERS),
    ("act_cfg", registry.LAYERS),
    ("upsample_cfg", registry.LAYERS),
    ("roi_layer", registry.LAYERS),
    ("dcn", registry.LAYERS),
    ("pipeline", registry.TRANSFORMS),
    ("transforms", registry.TRANSFORMS),
    ("dataset", registry.DATASETS),
    ("datasets", registry.DATASETS),
    ("hooks", registry.HOOKS),
)
_EXACT = {
    "model": registry.DETECTORS,
    "data.train": registry.DATASETS,
    "data.val": registry.DATASETS,
    "data.test": registry.DATASETS,
    "optimizer": registry.OPTIMIZERS,
    "runner": registry.RUNNERS,
    "optimizer_config": registry.HOOKS,
}
# keys that the caller takes out before it builds the part
_TAKEN_OUT = {
    registry.LAYERS.role: {"requires_grad", "fallback_on_stride"},
    registry.HOOKS.role: {"priority"},
    registry.DATASETS.role: {"samples_per_gpu", "separate_eval"},
    registry.INITIALIZERS.role: {"name", "override", "layer"},
    registry.OPTIMIZERS.role: {"constructor", "paramwise_cfg"},
    registry.RUNNERS.role: {"constructor"},
}
_SUPPLIED = {"context", "train_cfg", "test_cfg", "dataloader", "model", "params"}  # by whoever builds the part
_SUPPLIED_ENTIRELY = {registry.LAYERS.role, registry.OPTIMIZERS.role, registry.RUNNERS.role}


@dataclass(frozen=True)
class ConfigProblem:
    """One thing that is wrong: where it is written, its dotted key, and what it is."""

    place: str | None
    key_path: str
    message: str

    def __str__(self) -> str:
        return f"{f'{self.place}: ' if self.place else ''}{self.key_path}: {self.message}"


def ensure_valid(cfg: Config | Mapping[str, Any]) -> None:
    """Raise one ConfigError that lists everything `check_config` finds."""
    problems = check_config(cfg)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"the config has {count}:\n" + "\n".join(f"  {problem}" for problem in problems))


def check_config(cfg: Config | Mapping[str, Any]) -> list[ConfigProblem]:
    """Every misspelt key, unknown `type` and unknown or missing argument of a config.

    Classes are imported to look at their constructors; nothing is built. Top-level keys that raydet does not know are
    helper variables, unless they look like a known key. An unknown type is reported once, however often it occurs.

    Args:
        cfg: a config; one with places, as read from a file, gives problems with file and line.
    """
    values = cfg._cfg_dict if isinstance(cfg, Config) else cfg if isinstance(cfg, ConfigDict) else ConfigDict(cfg)
    problems = [*_misspelt(values, TOP_LEVEL_KEYS, "")]
    if isinstance(values.get("data"), dict):
        problems += _misspelt(values["data"], DATA_KEYS, "data.")
    problems += _check_hook_settings(values)
    for key in values:
        if key in TOP_LEVEL_KEYS:
            problems += _walk(values[key], key, key)
    return _once(problems)


def _once(problems: Iterable[ConfigProblem]) -> list[ConfigProblem]:
    """Keep the first of those that say the same of the same line, or of the same unknown type."""
    kept: dict[Any, ConfigProblem] = {}
    for problem in problems:
        unknown_type = problem.message.startswith("there is no ")
        place = None if unknown_type else problem.place or problem.key_path
        kept.setdefault((place, problem.message), problem)
    return list(kept.values())


def _misspelt(values: dict[str, Any], known: Iterable[str], prefix: str) -> Iterator[ConfigProblem]:
    for key in values:
        helper = key in known or any(re.match(rf"{each}[_\d]", str(key)) for each in known)
        hint = "" if helper else nearest(str(key), known, 0.8)
        if hint:
            yield ConfigProblem(_place(values, key), f"{prefix}{key}", f"unknown key{hint}")


def _walk(value: Any, path: str, key: str) -> Iterator[ConfigProblem]:
    """Problems of a value and of all within it; `key` is the last one on the path that is no index."""
    if isinstance(value, dict):
        if "type" in value:
            yield from _check_part(value, path, key)
        if value.get("type") in _FOREIGN:
            return
        for name, child in value.items():
            if name not in _OPAQUE:
                yield from _walk(child, f"{path}.{name}", str(name))
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from _walk(child, f"{path}.{index}", key)


def _check_part(part: dict[str, Any], path: str, key: str) -> Iterator[ConfigProblem]:
    kind = part["type"]
    if (closed := _closed_set(key)) is not None:
        role, words = closed
        if isinstance(kind, str) and kind not in words:
            yield _no_such(part, path, role, kind, words)
        return
    home = _registry_of(path, key)
    if isinstance(kind, str):
        home = home or _registry_with(kind)
        if home is None or kind not in home:
            names = home.names() if home else {name for each in registry.ALL_REGISTRIES.values() for name in each}
            yield _no_such(part, path, home.role if home else "registered part", kind, names)
            return
    elif not callable(kind):
        yield ConfigProblem(_place(part, "type"), f"{path}.type", f"expected a name or a class, got {kind!r}")
        return
    yield from _check_arguments(part, path, kind, home)


def _closed_set(key: str) -> tuple[str, tuple[str, ...]] | None:
    """Role and words, where a type is no registered part but one of a few words."""
    if key in ("nms", "nms_cfg"):
        return "kind of NMS", NMS_TYPES
    if key == "adapt_cfg":
        return "kind of adaptive convolution", ADAPTIVE_TYPES
    if key == "distributed":
        return "kind of distributed training", DISTRIBUTED_TYPES
    return ("kind of transition", TRANSITION_TYPES) if key.endswith("_trans") else None


def _no_such(part: dict[str, Any], path: str, role: str, kind: str, names: Iterable[str]) -> ConfigProblem:
    message = f"there is no {role} named {kind!r}{nearest(kind, names)}"
    return ConfigProblem(_place(part, "type"), f"{path}.type", message)


def _registry_of(path: str, key: str) -> Registry | None:
    """The registry that fits a place, or None when many do."""
    place = ".".join(step for step in path.split(".") if not step.isdecimal())
    if place in _EXACT:
        return _EXACT[place]
    if key.startswith("loss"):
        return registry.LOSSES
    return next((each for suffix, each in _SUFFIXES if key.endswith(suffix)), None)


def _registry_with(name: str) -> Registry | None:
    return next((each for each in registry.ALL_REGISTRIES.values() if name in each), None)


def _check_arguments(part: dict[str, Any], path: str, kind: Any, home: Registry | None) -> Iterator[ConfigProblem]:
    try:
        member = home.resolve(kind) if home is not None else kind
    except (ImportError, AttributeError) as error:
        yield ConfigProblem(_place(part, "type"), f"{path}.type", f"{kind} cannot be imported: {error}")
        return
    role = home.role if home else ""
    given = {key: value for key, value in part.items() if key != "type" and key not in _TAKEN_OUT.get(role, ())}
    yield from _argument_problems(part, path, member, given, role in _SUPPLIED_ENTIRELY)


def _argument_problems(
    part: dict[str, Any], path: str, member: Callable[..., Any], given: dict[str, Any], supplied: bool
) -> Iterator[ConfigProblem]:
    try:
        accepted, _ = accepted_arguments(member)
    except (TypeError, ValueError):  # built-in callables have no signature
        return
    filled = {key: inspect.Parameter.empty for key in accepted if supplied or key in _SUPPLIED}
    for key, message in argument_errors(member, {**filled, **given}):
        place = _place(part, key or "type")
        yield ConfigProblem(place, f"{path}.{key}" if key else path, message)


def _check_hook_settings(values: ConfigDict) -> Iterator[ConfigProblem]:
    """Settings that name no type themselves: `lr_config`, `optimizer_config` and so on."""
    for key, suffix in (("lr_config", "LrUpdaterHook"), ("momentum_config", "MomentumUpdaterHook")):
        setting = values.get(key)
        if isinstance(setting, dict) and "type" not in setting and isinstance(setting.get("policy"), str):
            policy = setting["policy"]
            hook = (policy.title() if policy == policy.lower() else policy) + suffix
            if hook not in registry.HOOKS:
                policies = [name.removesuffix(suffix) for name in registry.HOOKS if name.endswith(suffix)]
                message = f"there is no policy named {policy!r}{nearest(policy.title(), policies)}"
                yield ConfigProblem(_place(setting, "policy"), f"{key}.policy", message)
            else:
                yield from _check_as(setting, key, hook, "policy")
    for key, hook in (("optimizer_config", "OptimizerHook"), ("checkpoint_config", "CheckpointHook")):
        setting = values.get(key)
        if isinstance(setting, dict) and "type" not in setting:
            yield from _check_as(setting, key, hook)


def _check_as(setting: dict[str, Any], path: str, hook: str, *taken_out: str) -> Iterator[ConfigProblem]:
    part = setting.copy()
    for key in taken_out:
        del part[key]
    yield from _check_arguments(part, path, hook, registry.HOOKS)


def _place(values: Any, key: str) -> str | None:
    """Where a key is written, or else the dict that holds it."""
    return (values.where(key) or values.where()) if isinstance(values, ConfigDict) else None
