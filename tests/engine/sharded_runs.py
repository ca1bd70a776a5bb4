"""Runs of two processes in shards; here, so that processes that are started anew can import them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from interrupted_runs import Stop, interrupted
from small_detector import small_config
from torch.distributed.tensor import DTensor

from raydet.datasets import build_carrier
from raydet.engine import Hook, ProcessGroupEnvironment, run_training
from raydet.registry import HOOKS


@HOOKS.register_module(force=True)
class ShardsHook(Hook):
    """Looks whether parameters and what the optimiser keeps are spread over the processes."""

    def after_train_iter(self, runner: Any) -> None:
        parameters = list(runner.model.parameters())
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        assert all(isinstance(parameter, DTensor) for parameter in parameters)
        kept = [value for each in trained for value in runner.optimizer.state[each].values() if value.dim()]
        assert kept
        assert all(isinstance(value, DTensor) for value in kept)


def config(rank: int, folder: str, **changes: Any) -> Any:
    settings = dict(interval=1, by_epoch=False, max_keep_ckpts=2)
    return small_config(Path(folder, f"data{rank}"), images=6, **{"checkpoint_config": settings, **changes})


def go(folder: str, work: str, cfg: Any, sharded: bool = True, resume: bool = False) -> Any:
    environment = ProcessGroupEnvironment(Path(folder, work), "cpu", resume, sharded=sharded)
    return run_training(cfg, environment, build_carrier)


def meet(rank: int, folder: str, name: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/{name}", rank=rank, world_size=2)


def compare(rank: int, folder: str) -> None:
    """Train data-parallel, in shards, in shards with an interruption, and in shards from the others' checkpoints."""
    meet(rank, folder, "compare")
    best = dict(evaluation=dict(interval=1, metric="bbox", save_best="bbox_mAP"))
    whole = go(folder, "ddp", config(rank, folder, **best), sharded=False)
    looking = config(rank, folder, custom_hooks=[dict(type="ShardsHook", priority="VERY_LOW")], **best)
    sharded = go(folder, "fsdp2", looking)
    assert whole.metrics == pytest.approx(sharded.metrics)
    with pytest.raises(Stop):
        go(folder, "resumed", interrupted(config(rank, folder), 3))
    dist.barrier()
    go(folder, "resumed", config(rank, folder), resume=True)
    longer = dict(runner=dict(type="EpochBasedRunner", max_epochs=3))
    go(folder, "from_ddp", config(rank, folder, resume_from=f"{folder}/ddp/latest.pth", **longer))
    go(folder, "to_ddp", config(rank, folder, resume_from=f"{folder}/fsdp2/latest.shards", **longer), sharded=False)
    dist.destroy_process_group()


def other_settings(rank: int, folder: str) -> None:
    """AdamW with bfloat16, interrupted."""
    meet(rank, folder, "other")
    settings = dict(fp16=dict(dtype="bfloat16"), optimizer=dict(type="AdamW", lr=1e-3), evaluation=None)
    go(folder, "whole", config(rank, folder, **settings))
    with pytest.raises(Stop):
        go(folder, "resumed", interrupted(config(rank, folder, **settings), 3))
    dist.barrier()
    go(folder, "resumed", config(rank, folder, **settings), resume=True)
    dist.destroy_process_group()
