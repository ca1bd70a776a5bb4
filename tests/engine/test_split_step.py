"""Steps that run out of memory are computed in parts, with the loss and the gradients of the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from raydet.checkpoint import load
from raydet.config import Config, check_config
from raydet.datasets import build_carrier
from raydet.engine import EpochBasedRunner, LocalEnvironment, run_training
from raydet.engine.split_step import SplitStep, count_images, split, split_step_of
from raydet.registry import HOOKS


class Small(nn.Module):
    """Means over images and a running number; holds `room` images at most."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)
        self.unused = nn.Parameter(torch.ones(1))
        self.register_buffer("seen", torch.zeros(()))
        self.room = room
        self.sizes: list[int] = []

    def train_step(self, data: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        self.sizes.append(len(data["img"]))
        self.seen += len(data["img"])
        assert [meta["row"] for meta in data["img_metas"]] == data["img"][:, 0].tolist()
        noise = torch.rand(())
        if len(data["img"]) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        loss = self.linear(data["img"]).pow(2).mean() + 0 * noise
        return {"loss": loss, "log_vars": {"loss": loss.item()}, "num_samples": len(data["img"])}


class Batches:
    """Batches of four images."""

    dataset = ()

    def __len__(self) -> int:
        return 3

    def iterate(self, epoch: int, start: int = 0) -> Any:
        draws = torch.Generator().manual_seed(0)
        for _ in range(3):
            images = torch.rand(4, 3, generator=draws)
            yield {"img": images, "img_metas": [{"row": row} for row in images[:, 0].tolist()], "flag": True}


def trained(room: int, folder: Path, hook: dict[str, Any], split_step: SplitStep | None) -> Any:
    torch.manual_seed(0)
    model = Small(room)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    environment = LocalEnvironment(folder, "cpu")
    runner = EpochBasedRunner(model, optimizer=optimizer, work_dir=folder, environment=environment, max_epochs=1)
    runner.split_step = split_step
    runner.register_hook(HOOKS.build(hook), "ABOVE_NORMAL")
    runner.run([Batches()], [("train", 1)])
    return runner


@pytest.mark.parametrize("room", [1, 2, 4])
@pytest.mark.parametrize(
    "hook",
    [
        dict(type="OptimizerHook", grad_clip=dict(max_norm=0.5)),
        dict(type="GradientCumulativeOptimizerHook", cumulative_iters=2),
        dict(type="Fp16OptimizerHook", loss_scale=64.0, dtype="float16"),
    ],
    ids=lambda hook: hook["type"],
)
def test_a_step_in_parts_equals_the_whole_step(room: int, hook: dict[str, Any], tmp_path: Path) -> None:
    whole = trained(4, tmp_path, hook, None)
    parts = trained(room, tmp_path, hook, SplitStep())
    exact = hook["type"] != "Fp16OptimizerHook"
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5 if exact else 2e-3, atol=1e-6 if exact else 1e-3)
    assert parts.model.sizes[:3] == {1: [4, 2, 1], 2: [4, 2, 2], 4: [4, 4, 4]}[room]
    assert parts.log_buffer.val_history["loss"][0] == pytest.approx(whole.log_buffer.val_history["loss"][0], rel=1e-2)
    assert parts.log_buffer.n_history["loss"] == [4, 4, 4]


def test_aborted_tries_leave_no_trace_in_buffers_and_random_draws(tmp_path: Path) -> None:
    hook = dict(type="OptimizerHook")
    whole, parts = (trained(room, tmp_path, hook, SplitStep()).model for room in (4, 2))
    assert whole.seen == parts.seen == 12
    trained(4, tmp_path, hook, SplitStep())
    after_whole = torch.rand(())
    trained(2, tmp_path, hook, SplitStep())
    draws = torch.rand(4)
    torch.manual_seed(0)
    Small(4)
    wanted = torch.rand(10)
    assert after_whole == wanted[3]
    assert torch.equal(draws, wanted[6:10])


def test_what_is_never_small_enough_is_raised(tmp_path: Path) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        trained(0, tmp_path, dict(type="OptimizerHook"), SplitStep())
    with pytest.raises(torch.OutOfMemoryError):
        trained(1, tmp_path, dict(type="OptimizerHook"), SplitStep(max_parts=2))


def test_parts_have_the_entries_of_their_images() -> None:
    batch = {"img": torch.arange(5), "img_metas": list("abcde"), "scale": torch.tensor(2.0), "names": ["x"]}
    assert count_images(batch) == 5
    shares, parts = zip(*split(batch, 5, 2), strict=True)
    assert shares == (0.4, 0.6)
    assert [part["img_metas"] for part in parts] == [["a", "b"], ["c", "d", "e"]]
    assert parts[1]["img"].tolist() == [2, 3, 4]
    assert all(part["scale"] is batch["scale"] and part["names"] == ["x"] for part in parts)


@pytest.mark.parametrize(
    ("setting", "world_size", "message"),
    [
        ("yes", 1, "avoid_oom is True, False or dict"),
        (True, 2, "runs of one process, this one has 2"),
        (dict(max_parts=1), 1, "max_parts must be an int of 2"),
    ],
)
def test_impossible_settings_are_refused(setting: Any, world_size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_step_of(setting, world_size)


def test_it_is_off_unless_asked_for() -> None:
    assert split_step_of(None, 2) is None
    assert split_step_of(False, 2) is None
    assert isinstance(split_step_of(True, 1), SplitStep)


def test_a_detector_trains_in_parts(
    tmp_path: Path, make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    from raydet.detectors import TwoStageDetector

    plain = TwoStageDetector.train_step
    sizes: list[int] = []

    def crowded(self: Any, data: dict[str, Any], optimizer: Any = None) -> dict[str, Any]:
        sizes.append(len(data["img"]))
        if len(data["img"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, data, optimizer)

    monkeypatch.setattr(TwoStageDetector, "train_step", crowded)
    cfg = make_config(images=4, avoid_oom=True, evaluation=None, runner=dict(type="EpochBasedRunner", max_epochs=1))
    assert check_config(cfg) == []
    result = run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu"), build_carrier)
    assert sizes == [2, 1, 1] * 2
    assert result.checkpoint is not None
    weights: dict[str, Tensor] = load(result.checkpoint)["state_dict"]
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())
