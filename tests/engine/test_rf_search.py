"""Search of receptive fields: dilations move to the branches that help, and the other modes take them over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from raydet.checkpoint import load
from raydet.config import Config, check_config
from raydet.datasets import build_carrier
from raydet.engine import EpochBasedRunner, LocalEnvironment, init_detector, run_training
from raydet.engine.hooks.rf_search import KEY, RFSearchHook, restore_rates, searched_layers
from raydet.layers import Conv2dRFSearchOp
from raydet.layers.rf_search import expand_rates

SEARCH: dict[str, Any] = dict(exp_rate=0.5, init_alphas=0.01, mmin=1, mmax=24, num_branches=2)


@pytest.mark.parametrize(
    ("dilation", "changes", "expected"),
    [
        ((1, 1), {}, [(1, 1), (2, 2)]),
        ((4, 8), {}, [(2, 4), (6, 12)]),
        ((20, 20), {}, [(10, 10), (24, 24)]),
        ((4, 4), dict(num_branches=3), [(2, 2), (4, 4), (6, 6)]),
        ((1, 1), dict(num_branches=3, exp_rate=0.2), [(1, 1)]),
        ((1, 1), dict(mmin=2), [(2, 2)]),
    ],
)
def test_branches_stand_around_a_dilation_within_the_limits(
    dilation: tuple[int, int], changes: dict[str, Any], expected: list[tuple[int, int]]
) -> None:
    assert expand_rates(dilation, {**SEARCH, **changes}) == expected


def test_an_operator_is_the_weighted_sum_of_its_branches() -> None:
    conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    op = Conv2dRFSearchOp(conv, SEARCH)
    op.branch_weights.data = torch.tensor([-0.3, 0.1])
    images = torch.randn(2, 3, 9, 12)
    far = nn.functional.conv2d(images, conv.weight, conv.bias, 2, 2, 2)
    torch.testing.assert_close(op(images), 0.75 * conv(images) + 0.25 * far)
    assert list(op.state_dict()) == ["branch_weights", "op_layer.weight", "op_layer.bias"]
    op(images).sum().backward()
    assert bool(op.branch_weights.grad.abs().sum() > 0)


def test_estimating_goes_to_the_mean_and_expanding_branches_out_from_it() -> None:
    op = Conv2dRFSearchOp(nn.Conv2d(1, 1, (3, 1), padding=(4, 0), dilation=(4, 1)), SEARCH)
    assert op.dilation_rates == [(2, 1), (6, 1)]
    op.branch_weights.data = torch.tensor([0.1, 0.3])
    images = torch.randn(1, 1, 8, 8)
    op.estimate_rates()
    assert op.dilation_rates == [(5, 1)]
    torch.testing.assert_close(op(images), op.op_layer(images))
    op.expand_rates()
    assert op.dilation_rates == [(2, 1), (8, 1)]
    assert op.branch_weights.tolist() == pytest.approx([0.01, 0.01])
    assert op(images).shape == images.shape


def test_weights_of_the_bare_convolution_load_into_the_operator() -> None:
    conv = nn.Conv2d(1, 1, 3)
    op = Conv2dRFSearchOp(nn.Conv2d(1, 1, 3), SEARCH)
    outcome = op.load_state_dict(conv.state_dict(), strict=False)
    assert (outcome.missing_keys, outcome.unexpected_keys) == (["branch_weights"], [])
    assert torch.equal(op.op_layer.weight, conv.weight)


class Shift(nn.Module):
    """Learns what an image looks like two pixels further, which a larger dilation sees better."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 1, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Conv2d(1, 1, 1, bias=False))

    def train_step(self, data: Any, optimizer: Any) -> dict[str, Any]:
        wanted = torch.roll(data["img"], 2, dims=-1)
        loss = (self.body(data["img"]) - wanted)[..., 4:-4].pow(2).mean() + 0 * sum(p.sum() for p in self.parameters())
        return {"loss": loss, "log_vars": {"loss": loss.item()}, "num_samples": 4}


class Noise:
    """Four random images per batch."""

    dataset = ()

    def __len__(self) -> int:
        return 20

    def iterate(self, epoch: int, start: int = 0) -> Any:
        draws = torch.Generator().manual_seed(epoch)
        batches = [torch.randn(4, 1, 16, 16, generator=draws) for _ in range(20)]
        yield from ({"img": each} for each in batches[start:])


def hook_of(**changes: Any) -> RFSearchHook:
    search = dict(max_step=3, search_interval=1, skip_layer=["stem"], **SEARCH)
    return RFSearchHook(**{"config": dict(search=search), **changes})


def searching(folder: Path, epochs: int, resume: str | None = None, **changes: Any) -> Any:
    torch.manual_seed(0)
    model, hook = Shift(), hook_of(**changes)
    hook.init_model(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    environment = LocalEnvironment(folder, "cpu")
    runner = EpochBasedRunner(model, optimizer=optimizer, work_dir=folder, environment=environment, max_epochs=epochs)
    runner.register_optimizer_hook({})
    runner.register_checkpoint_hook(dict(interval=1))
    runner.register_hook(hook)
    if resume is not None:
        runner.resume(folder / resume)
    runner.run([Noise()], [("train", 1)])
    return runner


def test_search_moves_dilations_to_where_they_help_and_stops_at_max_step(tmp_path: Path) -> None:
    runner = searching(tmp_path, epochs=4)
    assert sorted(path.name for path in tmp_path.glob("*.json")) == [
        "local_search_config_step1.json",
        "local_search_config_step2.json",
    ]
    content = json.loads((tmp_path / "local_search_config_step2.json").read_text())
    assert list(content["structure"]) == ["module.body.0"]
    assert content["structure"]["module.body.0"][1] > 1
    assert content["search"]["step"] == 2
    layers = searched_layers(runner.model)
    assert list(layers) == ["body.0"]
    assert isinstance(runner.model.stem, nn.Conv2d)
    assert layers["body.0"].op_layer.dilation == tuple(content["structure"]["module.body.0"])


def test_a_resumed_search_ends_like_one_that_was_not_interrupted(tmp_path: Path) -> None:
    whole = searching(tmp_path / "whole", epochs=3)
    searching(tmp_path / "work", epochs=1)
    resumed = searching(tmp_path / "work", epochs=3, resume="epoch_1.pth")
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)
    rates = [searched_layers(each.model)["body.0"].dilation_rates for each in (whole, resumed)]
    assert rates[0] == rates[1]
    assert whole.checkpoint_meta[KEY] == resumed.checkpoint_meta[KEY]


def test_fixed_modes_take_the_dilations_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    path.write_text(json.dumps(dict(structure={"module.body.0": 5})))
    single, several = Shift(), Shift()
    hook_of(mode="fixed_single_branch", rfstructure_file=str(path)).init_model(single)
    assert (single.body[0].dilation, single.body[0].padding) == ((5, 5), (5, 5))
    assert list(single.state_dict()) == list(Shift().state_dict())
    hook_of(mode="fixed_multi_branch", rfstructure_file=str(path)).init_model(several)
    assert searched_layers(several)["body.0"].dilation_rates == [(2, 2), (8, 8)]
    searching(tmp_path / "work", epochs=2, mode="fixed_multi_branch", rfstructure_file=str(path))
    assert not list((tmp_path / "work").glob("*.json"))
    assert load(tmp_path / "work" / "latest.pth")["meta"][KEY]["rates"] == {"body.0": [[2, 2], [8, 8]]}


def test_convolutions_that_are_shared_share_their_branches() -> None:
    model = Shift()
    model.body[1] = model.body[0]
    hook_of().init_model(model)
    assert model.body[1] is model.body[0]
    assert set(searched_layers(model)) == {"body.0", "body.1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(mode="searching"), "mode is 'searching', expected one of search"),
        (dict(mode="fixed_single_branch"), "needs rfstructure_file"),
        (dict(config=dict(search=dict(num_branch=2))), "no key 'num_branch'; did you mean 'num_branches'"),
        (dict(config=dict(search=dict(num_branches=4))), "num_branches must be 2 or 3, got 4"),
        (dict(config=dict(search=dict(mmin=30))), "mmin must be between 1 and mmax=24, got 30"),
    ],
)
def test_impossible_settings_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RFSearchHook(**arguments)


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    with pytest.raises(FileNotFoundError, match=r"no rfstructure_file .*found\.json"):
        RFSearchHook(rfstructure_file=str(path))
    path.write_text("[]")
    with pytest.raises(ValueError, match="is no result of a search"):
        RFSearchHook(rfstructure_file=str(path))
    path.write_text(json.dumps(dict(structure={"module.other": [2, 2]})))
    with pytest.raises(ValueError, match=r"found\.json has no dilation for body\.0"):
        hook_of(rfstructure_file=str(path)).init_model(Shift())


def test_a_model_without_branches_is_refused(tmp_path: Path) -> None:
    model = Shift()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    runner = EpochBasedRunner(
        model, optimizer=optimizer, environment=LocalEnvironment(tmp_path, "cpu"), max_epochs=1, work_dir=tmp_path
    )
    runner.register_hook(hook_of())
    with pytest.raises(ValueError, match=r"call RFSearchHook\.init_model before its optimizer"):
        runner.run([Noise()], [("train", 1)])


def test_a_detector_is_searched_and_detects_with_the_branches_of_its_checkpoint(
    tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    search = dict(max_step=3, skip_layer=["backbone.conv1", "layer1", "layer2", "layer3", "neck", "head"], **SEARCH)
    hooks = [dict(type="RFSearchHook", config=dict(search=search), priority="HIGH", verbose=False)]
    cfg = make_config(images=2, custom_hooks=hooks, evaluation=None)
    assert check_config(cfg) == []
    result = run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu"), build_carrier)
    rates = load(result.checkpoint)["meta"][KEY]["rates"]  # type: ignore[arg-type]
    assert set(rates) == {f"backbone.layer4.{block}.conv{index}" for block in (0, 1) for index in (1, 2)}
    rates["backbone.layer4.0.conv1"] = [[3, 3], [4, 4]]
    model = init_detector(cfg, result.checkpoint, device="cpu")
    assert searched_layers(model)["backbone.layer4.1.conv2"].dilation_rates == [
        tuple(each) for each in rates["backbone.layer4.1.conv2"]
    ]
    restore_rates(model, {KEY: dict(rates=rates)})
    assert searched_layers(model)["backbone.layer4.0.conv1"].dilation_rates == [(3, 3), (4, 4)]
