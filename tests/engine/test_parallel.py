"""What `call_through` adds to the data-parallel wrapper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from raydet.engine.parallel import call_through


class HalfUsed(nn.Module):
    """A model one of whose two layers reaches no loss."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(2, 1)
        self.idle = nn.Linear(2, 1)

    def train_step(self, x: Tensor) -> Tensor:
        return self.used(x).sum()


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("process_group")
def test_call_through_names_the_parameters_that_reach_no_loss() -> None:
    model = DistributedDataParallel(HalfUsed())
    call_through(model, "train_step", torch.ones(1, 2)).backward()
    with pytest.raises(ValueError, match=r"2 parameters: idle\.weight, idle\.bias.*find_unused_parameters"):
        call_through(model, "train_step", torch.ones(1, 2))
