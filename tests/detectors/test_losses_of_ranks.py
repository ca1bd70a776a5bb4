"""Logged losses of two ranks that talk over gloo."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

RANK = """
import json, sys, torch, torch.distributed as dist
from raydet.detectors.losses import parse_losses
rank = int(sys.argv[1])
dist.init_process_group("gloo", "file://" + sys.argv[2], world_size=2, rank=rank)
_, same = parse_losses({"loss_a": torch.tensor(float(rank)), "acc": torch.tensor(10.0 * rank)})
try:
    parse_losses({"loss_a": torch.tensor(1.0), **({"loss_b": torch.tensor(1.0)} if rank else {})})
    message = ""
except RuntimeError as error:
    message = str(error)
print(json.dumps([same, message]))
"""


def test_losses_are_averaged_over_ranks_and_differing_names_are_an_error_on_each(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", RANK, str(rank), str(tmp_path / "store")] for rank in range(2)]
    ranks = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    for rank in ranks:
        log_vars, message = json.loads(rank.communicate(timeout=120)[0].splitlines()[-1])
        assert log_vars == {"loss_a": 0.5, "acc": 5.0, "loss": 0.5}
        assert message == "ranks return different losses; beside ['loss', 'loss_a'], rank -> names: {1: ['loss_b']}"
