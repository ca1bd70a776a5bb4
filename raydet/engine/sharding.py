"""Training with parameters, gradients and optimiser spread over the processes (FSDP2), for backbones that are large."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from raydet.checkpoint import remove_checkpoint, shards
from raydet.checkpoint.save import notes_of
from raydet.config import Config
from raydet.config.check import DISTRIBUTED_TYPES

CONTAINERS = (nn.Sequential, nn.ModuleList)
_REFUSED_HOOKS = {
    "EMAHook": "averages of weights",
    "ExpMomentumEMAHook": "averages of weights",
    "LinearMomentumEMAHook": "averages of weights",
    "SyncNormHook": "averages of normalisation layers",
    "RFSearchHook": "searches of dilations",
}


def wants_shards(cfg: Config) -> bool:
    """Whether a config has `distributed = dict(type='fsdp2')`; without it, training is data-parallel.

    Raises:
        ValueError: another type, an unknown option, or a part of the config that cannot be trained in shards.
    """
    section = dict(cfg.get("distributed") or {})
    kind = section.pop("type", "ddp")
    if kind not in DISTRIBUTED_TYPES or section:
        raise ValueError(
            f"distributed is {dict(cfg['distributed'])!r}, expected dict(type=...) with one of {DISTRIBUTED_TYPES}"
        )
    if kind == "ddp":
        return False
    for setting, why in _conflicts(cfg):
        raise ValueError(f"{setting} does not go with distributed.type='fsdp2': {why}; leave one of them out")
    return True


def _conflicts(cfg: Config) -> Iterator[tuple[str, str]]:
    optimizer_config, half = cfg.get("optimizer_config") or {}, cfg.get("fp16")
    for hook in cfg.get("custom_hooks") or []:
        if hook.get("type") in _REFUSED_HOOKS:
            yield f"custom_hooks {hook['type']}", f"{_REFUSED_HOOKS[hook['type']]} need whole weights"
    if half is not None and half.get("dtype") != "bfloat16":
        yield "fp16 without dtype='bfloat16'", "the scale of float16 would have to be found over all shards"
    if optimizer_config.get("cumulative_iters", 1) > 1:
        yield "optimizer_config.cumulative_iters", "gradients in the making are not saved in shards"
    if cfg.get("elastic") and cfg["elastic"].get("batch", "keep") == "keep":
        yield "elastic.batch='keep'", "a process that computes batches of several needs whole weights"
    if cfg.get("torch_compile"):
        yield "torch_compile", "compiled graphs hold whole weights"
    if (cfg.get("evaluation") or {}).get("separate"):
        yield "evaluation.separate", "the tasks read checkpoints in one file"
    if "://" in str((cfg.get("checkpoint_config") or {}).get("out_dir") or ""):
        yield "checkpoint_config.out_dir in object storage", "name it as the storage of the run instead"


def shard(model: nn.Module, device: torch.device) -> nn.Module:
    """Spread the parameters of a model over all processes, in place, and gather them block by block when needed.

    Blocks are the parts of the backbone that every forward pass calls one after the other; the rest is one block, as
    heads may leave out some of their parts for some images.

    Args:
        model: that of rank 0 counts.
        device: on which this process trains.
    """
    model = model.to(device)
    for tensor in model.state_dict().values():
        dist.broadcast(tensor, 0)
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for block in [*blocks_of(getattr(model, "backbone", nn.Identity())), model]:
        fully_shard(block, mesh=mesh, reshard_after_forward=True)
    return model


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """What lists and sequences in a module hold, such as residual blocks or stages, as far as it has parameters."""
    found: list[nn.Module] = []
    for container in (child for child in module.children() if isinstance(child, CONTAINERS)):
        blocks = [child for child in container.children() if not isinstance(child, CONTAINERS)]
        found += [block for block in blocks if next(block.parameters(), None) is not None]
        found += blocks_of(container)
    return found


def is_sharded(model: Any) -> bool:
    """Whether a model's parameters are spread over the processes."""
    return isinstance(model, FSDPModule)


def checkpoint_path(model: Any, path: Path) -> Path:
    """The name that the checkpoint `path` has when it is of this model: a folder where that is in shards."""
    return path.with_suffix(shards.SUFFIX) if is_sharded(model) else path


@contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Have whole parameters on every process for a while, so that each may run the model as often as it wants."""
    blocks = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for block in blocks:
        block.set_reshard_after_forward(False, recurse=False)
        block.unshard()
    try:
        yield
    finally:
        for block in blocks:
            block.set_reshard_after_forward(True, recurse=False)
            block.reshard()


def local_part(tensor: Tensor) -> Tensor:
    """What this process has of a tensor, all of it where that is not sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be spread over the processes, all of it on each of them; every rank calls this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def save_shards(runner: Any, path: Path, meta: Mapping[str, Any] | None, with_optimizer: bool) -> Path:
    """Write a checkpoint in shards; every rank calls this.

    Args:
        runner: of the run.
        path: the folder; it gets its name when it is complete.
        meta: of the checkpoint, on rank 0.
        with_optimizer: also save the optimiser.
    """
    environment, group = runner.environment, runner.environment.objects
    temporary = path.with_name(f".{path.name}.tmp")
    if runner.rank == 0:
        shutil.rmtree(temporary, ignore_errors=True)
    dist.barrier(group)
    temporary.mkdir(parents=True, exist_ok=True)
    state = runner.model.state_dict()
    tensors = {shards.MODEL + name: value for name, value in state.items()}
    facts: dict[str, Any] = {"meta": notes_of(runner.model, meta), "keys": list(state)}
    if with_optimizer and runner.optimizer is not None:
        facts["optimizer"], of_optimizer = _optimizer_state(runner.model, runner.optimizer)
        tensors.update(of_optimizer)
    digests = environment.gather(shards.write_part(tensors, temporary, group))
    if digests is not None:
        shards.seal(temporary, facts, {name: digest for each in digests for name, digest in each.items()})
    for turn in (True, False):  # rank 0 first: after it, only nodes with a disk of their own have something to rename
        if turn == (runner.rank == 0) and temporary.exists():
            remove_checkpoint(path)
            with suppress(FileNotFoundError):  # another process of this node was faster
                temporary.rename(path)
        dist.barrier(group)
    return path


def _optimizer_state(model: nn.Module, optimizer: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Groups and numbers of an optimiser, and its tensors by `optimizer.<parameter>/<key>`."""
    of = {id(parameter): name for name, parameter in model.named_parameters()}
    names = [of[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for parameter, state in optimizer.state.items():
        name = of[id(parameter)]
        tensors.update({f"{shards.OPTIMIZER}{name}/{k}": v for k, v in state.items() if isinstance(v, Tensor)})
        numbers[name] = {key: value for key, value in state.items() if not isinstance(value, Tensor)}
    return {"names": names, "numbers": numbers, "param_groups": optimizer.state_dict()["param_groups"]}, tensors


def resume_shards(runner: Any, data: dict[str, Any], with_optimizer: bool) -> dict[str, Any]:
    """Take weights and optimiser over from a checkpoint, where run or checkpoint are in shards; all ranks call this.

    The number of processes that wrote it does not matter.

    Args:
        runner: of the run.
        data: the checkpoint; for one in shards `meta` and the folder `shards`.
        with_optimizer: also take over the optimiser.

    Returns:
        What is left to take over in the usual way.
    """
    if not is_sharded(runner.model):
        return {**shards.read_shards(Path(data["shards"])), "shards": data["shards"]} if "shards" in data else data
    if "shards" in data:
        optimizer = runner.optimizer if with_optimizer else None
        load_shards(runner.model, optimizer, Path(data["shards"]), runner.environment.objects)
        return {key: value for key, value in data.items() if key != "optimizer"} | {
            "state_dict": runner.model.state_dict()
        }
    data = {**data, "state_dict": spread(data["state_dict"], runner.model.state_dict())}
    if "optimizer" in data:
        data["optimizer"] = spread_optimizer(data["optimizer"], runner.optimizer)
    return data


def shapes_in(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Weights of a checkpoint by name; of one in shards, stand-ins that have their shapes."""
    if "shards" not in data:
        return dict(data["state_dict"])
    found = shards.tensor_shapes(Path(data["shards"]))
    return {
        name.removeprefix(shards.MODEL): torch.empty(size, dtype=dtype, device="meta")
        for name, (size, dtype) in found.items()
        if name.startswith(shards.MODEL)
    }


def load_shards(model: nn.Module, optimizer: Any, path: Path, group: Any) -> None:
    """Take weights and the state of the optimiser, if given, over from a checkpoint in shards; all ranks call this."""
    found = shards.tensor_shapes(path)
    weights = {shards.MODEL + name: value for name, value in model.state_dict().items()}
    tensors: dict[str, Tensor] = {name: value for name, value in weights.items() if name in found}
    saved = shards.read_rest(path).get("optimizer") if optimizer is not None else None
    if saved is not None:
        _prepare_state(model, optimizer, saved, found, tensors)
    shards.fill(tensors, path, group)


def _prepare_state(
    model: nn.Module,
    optimizer: Any,
    saved: Mapping[str, Any],
    found: Mapping[str, tuple[torch.Size, torch.dtype]],
    tensors: dict[str, Tensor],
) -> None:
    """Give an optimiser its groups, its numbers and tensors to fill, which are added to `tensors`."""
    current = optimizer.state_dict()
    if [len(group["params"]) for group in current["param_groups"]] != [len(g["params"]) for g in saved["param_groups"]]:
        raise ValueError("the optimizer of the checkpoint has other groups of parameters than this run's")
    optimizer.load_state_dict({"state": {}, "param_groups": saved["param_groups"]})
    parameters = dict(model.named_parameters())
    for name in saved["names"]:
        prefix = f"{shards.OPTIMIZER}{name}/"
        state = dict(saved["numbers"].get(name, {}))
        for key in (key for key in found if key.startswith(prefix)):
            size, dtype = found[key]
            like = parameters[name]
            alike = size == like.shape
            state[key.removeprefix(prefix)] = torch.zeros_like(like) if alike else torch.zeros(size, dtype=dtype)
            tensors[key] = state[key.removeprefix(prefix)]
        if state:
            optimizer.state[parameters[name]] = state


def spread(values: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors spread over the processes as those of the same name in `like` are; every rank has all of them."""
    return {name: _spread(value, like.get(name)) for name, value in values.items()}


def spread_optimizer(state: Mapping[str, Any], optimizer: Any) -> dict[str, Any]:
    """A usual state of an optimiser with its tensors spread as the parameters are."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states = {
        index: {key: _spread(value, parameters[index]) for key, value in own.items()}
        for index, own in state["state"].items()
    }
    return {**state, "state": states}


def _spread(value: Any, like: Any) -> Any:
    if isinstance(value, Tensor) and isinstance(like, DTensor) and value.shape == like.shape:
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
    return value
