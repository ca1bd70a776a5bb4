"""A step that is not finite on one process is left out on all, and the run goes on in step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from small_runner import Line, Numbers

from raydet.detectors.losses import parse_losses
from raydet.engine import EpochBasedRunner, ProcessGroupEnvironment
from raydet.engine.nan_guard import NanGuard


class Averaging(Line):
    """A model whose logged losses are averaged over the processes; NaN on rank 1 in the second iteration."""

    def train_step(self, data: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        bad = data["x"].item() == 1 and dist.get_rank() == 1
        scale = math.nan if bad else dist.get_rank() + 1
        loss, log_vars = parse_losses({"loss_line": self.weight * data["x"] * scale})
        return {"loss": loss, "log_vars": log_vars, "num_samples": 1}


def _train(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    environment = ProcessGroupEnvironment(folder, "cpu")
    model = environment.wrap_model(Averaging())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    runner = EpochBasedRunner(model, optimizer=optimizer, work_dir=folder, environment=environment, max_epochs=1)
    runner.guard = NanGuard("skip")
    runner.register_optimizer_hook({"type": "OptimizerHook"})
    runner.run([Numbers(4)], [("train", 1)])
    # gradients are means over the ranks of x and 2x; x = 0, 2 and 3 count
    assert math.isclose(next(model.parameters()).item(), 1 - 0.1 * 1.5 * 5, abs_tol=1e-6)
    assert runner.meta["hook_msgs"]["nonfinite_steps"] == 1
    dist.destroy_process_group()


def test_both_processes_leave_the_step_out(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_train, (str(tmp_path),), nprocs=2)
