import logging
from collections import OrderedDict

import pytest
import torch
from torch import nn

from raydet.checkpoint import CheckpointError, load_checkpoint, load_state_dict, read_state_dict, save_checkpoint


def mlp(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(OrderedDict(a=nn.Linear(2, 3), norm=nn.BatchNorm1d(3), b=nn.Linear(3, 1)))


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("layout", ["state_dict", "model", None])
def test_layouts_in_the_wild_load(tmp_path, layout):
    state = mlp(1).state_dict()
    torch.save(state if layout is None else {layout: state, "meta": {"epoch": 3}}, tmp_path / "a.pth")
    model = mlp(2)
    load_checkpoint(model, tmp_path / "a.pth", strict=True)
    assert equal(model, mlp(1))


def test_checkpoint_is_returned(tmp_path):
    save_checkpoint(mlp(), tmp_path / "a.pth", meta=dict(epoch=3))
    assert load_checkpoint(mlp(1), str(tmp_path / "a.pth"))["meta"]["epoch"] == 3


def test_wrapper_prefix_is_cut_off_and_more_can_be(tmp_path):
    state = {f"module.net.{key}": value for key, value in mlp(1).state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / "a.pth")
    model = mlp(2)
    load_checkpoint(model, tmp_path / "a.pth", strict=True, revise_keys=[(r"^module\.", ""), (r"^net\.", "")])
    assert equal(model, mlp(1))


def test_wrapped_model_receives_weights():
    model = nn.DataParallel(mlp(2))
    load_state_dict(model, mlp(1).state_dict(), strict=True)
    assert equal(model.module, mlp(1))


def odd_state():
    state = mlp(1).state_dict()
    del state["a.bias"]
    state["b.weight"] = torch.zeros(1, 7)
    state["extra.weight"] = torch.zeros(2)
    return state


def test_what_does_not_fit_is_reported_once(caplog):
    model = mlp(2)
    before = model.b.weight.clone()
    with caplog.at_level(logging.WARNING):
        report = load_state_dict(model, odd_state(), name="x.pth")
    assert report.missing == ("a.bias",)
    assert report.unexpected == ("extra.weight",)
    assert report.mismatched == (("b.weight", (1, 7), (1, 3)),)
    assert torch.equal(model.b.weight, before)
    assert torch.equal(model.a.weight, mlp(1).a.weight)
    (record,) = caplog.records
    for part in ("x.pth", "a.bias", "extra.weight", "(file (1, 7), model (1, 3))"):
        assert part in record.getMessage()


def test_logger_given_is_used():
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.Logger("own")
    logger.addHandler(handler)
    load_state_dict(mlp(2), odd_state(), logger=logger)
    assert len(records) == 1


def test_strict_names_file_and_keys():
    with pytest.raises(RuntimeError, match=r"(?s)x\.pth.*b\.weight.*a\.bias.*extra\.weight"):
        load_state_dict(mlp(2), odd_state(), strict=True, name="x.pth")


def test_everything_fits_says_nothing(caplog):
    assert not load_state_dict(mlp(2), mlp(1).state_dict())
    assert not caplog.records


def test_batch_counter_missing_in_old_files_is_no_matter(caplog):
    state = mlp(1).state_dict()
    del state["norm.num_batches_tracked"]
    assert not load_state_dict(mlp(2), state, strict=True)


@pytest.mark.parametrize("strict", [False, True])
def test_weights_of_another_model_are_an_error(strict):
    other = nn.Sequential(nn.Conv2d(1, 1, 1)).state_dict()
    with pytest.raises(RuntimeError, match=r"(?s)none of the weights in x\.pth fit Sequential.*0\.weight"):
        load_state_dict(mlp(2), other, strict=strict, name="x.pth")


def test_long_lists_of_keys_are_cut_short():
    state = {**mlp(1).state_dict(), **{f"extra{index}": torch.zeros(1) for index in range(50)}}
    report = load_state_dict(mlp(2), state)
    assert "and 38 more" in str(report)


@pytest.mark.parametrize("content", [dict(meta=dict(epoch=1)), [1, 2], dict(state_dict={})])
def test_file_without_weights_is_an_error(content):
    with pytest.raises(CheckpointError, match=r"x\.pth"):
        read_state_dict(content, "x.pth")


def test_versions_of_modules_reach_them():
    class Versioned(nn.Linear):
        _version = 3
        seen = None

        def _load_from_state_dict(self, state_dict, prefix, metadata, *rest):
            Versioned.seen = metadata.get("version")
            super()._load_from_state_dict(state_dict, prefix, metadata, *rest)

    model = nn.Sequential(Versioned(1, 1))
    weights = read_state_dict({"state_dict": nn.DataParallel(model).state_dict()})
    load_state_dict(model, weights, strict=True)
    assert Versioned.seen == 3


def test_module_may_rename_old_keys_itself():
    class Renaming(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *rest):
            if prefix + "old" in state_dict:
                state_dict[prefix + "weight"] = state_dict.pop(prefix + "old")
            super()._load_from_state_dict(state_dict, prefix, *rest)

    model = nn.Sequential(Renaming(1, 1, bias=False), nn.Linear(1, 1))
    state = {"0.old": torch.full((1, 1), 5.0), "1.weight": torch.ones(1, 1), "1.bias": torch.ones(1)}
    load_state_dict(model, state, strict=True)
    assert model[0].weight.item() == 5
