"""Functions that run out of memory are tried again, and what they return looks as if they had not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from raydet.engine import AvoidCUDAOOM, AvoidOOM
from raydet.engine.hooks.progress import describe


class Hungry:
    """Runs out of memory so many times, and remembers the types it was given."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.seen: list[torch.dtype] = []

    def __call__(self, boxes: Tensor, labels: list[Tensor], flag: bool = True) -> dict[str, Any]:
        self.seen.append(boxes.dtype)
        if len(self.seen) <= self.failures:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"twice": boxes * 2, "labels": labels, "flag": flag}


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
def test_each_try_asks_for_less_and_the_result_has_the_first_type(failures: int) -> None:
    hungry = Hungry(failures)
    found = AvoidCUDAOOM.retry_if_cuda_oom(hungry)(torch.ones(2), [torch.tensor([1])], flag=False)
    wanted = [torch.float32, torch.float32, torch.float16, torch.float32]
    assert hungry.seen == wanted[: failures + 1]
    assert found["twice"].dtype == torch.float32
    assert found["twice"].tolist() == [2, 2]
    assert found["labels"][0].dtype == torch.int64
    assert found["flag"] is False


@pytest.mark.parametrize(("to_cpu", "tries"), [(True, 4), (False, 3)])
def test_the_last_failure_is_raised(to_cpu: bool, tries: int) -> None:
    hungry = Hungry(9)
    with pytest.raises(torch.OutOfMemoryError):
        AvoidOOM(to_cpu=to_cpu).retry_if_cuda_oom(hungry)(torch.ones(1), [])
    assert len(hungry.seen) == tries


def test_other_errors_pass_and_the_decorator_keeps_the_name() -> None:
    @AvoidCUDAOOM.retry_if_cuda_oom
    def assign(boxes: Tensor) -> Tensor:
        raise RuntimeError("something else")

    assert assign.__name__ == "assign"
    with pytest.raises(RuntimeError, match="something else"):
        assign(torch.ones(1))


def test_progress_tells_loss_speed_and_the_wait_for_data() -> None:
    text = describe({"loss": [2.0, 1.0], "time": [0.5, 0.5], "data_time": [0.1, 0.1], "empty": []})
    assert text.startswith("loss 1.5, 2.0 it/s, data 20 %")
    assert "loss" not in describe({})
