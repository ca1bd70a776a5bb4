from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_runner import Numbers, make

from raydet.engine.hooks.checks import NumClassCheckHook
from raydet.engine.hooks.evaluation import EvalHook


class Scored(Numbers):
    """A carrier whose data set gives the scores in `values` one after the other."""

    def __init__(self, values: list[float], name: str = "mAP") -> None:
        super().__init__(1)
        self.dataset = self  # type: ignore[assignment]
        self.values = iter(values)
        self.name = name
        self.arguments: list[dict[str, Any]] = []

    def evaluate(self, results: list[Any], logger: Any = None, **arguments: Any) -> dict[str, Any]:
        self.arguments.append(arguments)
        return {self.name: next(self.values), "text": "0.5 0.6"}


def run(folder: Path, values: list[float], epochs: int, name: str = "mAP", **options: Any) -> tuple[Any, Scored]:
    carrier, runner = Scored(values, name), make(folder=folder, max_epochs=epochs)
    runner.register_hook(EvalHook(carrier, test_fn=lambda model, data: [0], **options), "LOW")
    runner.run([Numbers()], [("train", 1)])
    return runner, carrier


@pytest.mark.parametrize(
    ("options", "evaluations"),
    [
        (dict(interval=1), 6),
        (dict(interval=2), 3),
        (dict(interval=2, start=3), 2),
        (dict(interval=4, dynamic_intervals=[(5, 1)]), 3),
        (dict(by_epoch=False, interval=9), 2),
    ],
)
def test_evaluation_happens_at_its_interval(options: dict[str, Any], evaluations: int, tmp_path: Path) -> None:
    _, carrier = run(tmp_path, [0.1] * 18, 6, metric="bbox", **options)
    assert carrier.arguments == [{"metric": "bbox"}] * evaluations


@pytest.mark.parametrize(
    ("name", "options", "best"),
    [
        ("mAP", dict(save_best="auto"), "best_mAP_epoch_2.pth"),
        ("bbox_mAP_50", dict(save_best="bbox_mAP_50"), "best_bbox_mAP_50_epoch_2.pth"),
        ("loss_val", dict(save_best="auto"), "best_loss_val_epoch_3.pth"),
        ("oddity", dict(save_best="oddity", rule="less"), "best_oddity_epoch_3.pth"),
        ("oddity", dict(save_best="oddity", greater_keys=["odd"]), "best_oddity_epoch_2.pth"),
    ],
)
def test_best_checkpoint_is_the_only_one_kept(name: str, options: dict[str, Any], best: str, tmp_path: Path) -> None:
    runner, _ = run(tmp_path, [0.5, 0.7, 0.2], 3, name, **options)
    assert [path.name for path in tmp_path.glob("best_*.pth")] == [best]
    assert runner.meta["hook_msgs"]["best_ckpt"] == str(tmp_path / best)


def test_as_many_of_the_best_checkpoints_are_kept_as_asked_for(tmp_path: Path) -> None:
    scores = [0.5, 0.7, 0.2, 0.6, 0.7]
    runner, _ = run(tmp_path, scores, 5, "mAP", save_best="mAP", keep_best=2)
    assert sorted(path.name for path in tmp_path.glob("best_*.pth")) == ["best_mAP_epoch_2.pth", "best_mAP_epoch_5.pth"]
    assert runner.meta["hook_msgs"]["best_ckpt"] == str(tmp_path / "best_mAP_epoch_2.pth")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(save_best="mAP", keep_best=0), ValueError, "keep_best is 0"),
        (dict(save_best="oddity"), ValueError, "set evaluation.rule"),
        (dict(save_best="mAP", rule="bigger"), KeyError, "evaluation.rule is 'bigger'"),
        (dict(interval=0), ValueError, "interval must be positive"),
        (dict(start=-1), ValueError, "start must not be negative"),
        (dict(file_client_args=dict(backend="petrel")), ValueError, "storage of the whole run"),
    ],
)
def test_evaluation_with_a_wrong_setting_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        EvalHook(Scored([]), **options)


def test_save_best_of_a_metric_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="save_best is 'AR@100', but the metrics are 'mAP', 'text'"):
        run(tmp_path, [0.5], 1, save_best="AR@100")


def test_evaluation_leaves_draws_and_mode_of_the_training_run_alone(tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.model.train()
    hook = EvalHook(Scored([0.5]), test_fn=lambda model, data: [torch.rand(1), model.eval()][:1])
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    hook._test(runner)
    assert torch.equal(torch.rand(1), expected)
    assert runner.model.training


def test_num_class_check_names_head_classes_and_remedy(tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.model.bbox_head = torch.nn.Identity()
    runner.model.bbox_head.num_classes = 80
    runner.model.rpn_head = torch.nn.Identity()
    runner.model.rpn_head.num_classes = 1
    carrier = Scored([])
    carrier.CLASSES = ("cat", "dog")  # type: ignore[attr-defined]
    runner.register_hook(NumClassCheckHook())
    with pytest.raises(ValueError, match=r"2 classes of Scored \(cat, dog\): bbox_head.num_classes = 80. Set num_cl"):
        runner.run([carrier], [("train", 1)])


def test_num_class_check_of_a_single_string_asks_for_a_tuple(tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    carrier = Scored([])
    carrier.CLASSES = "cat"  # type: ignore[attr-defined]
    runner.register_hook(NumClassCheckHook())
    with pytest.raises(ValueError, match=r"write \('cat',\) with a comma"):
        runner.run([carrier], [("train", 1)])
