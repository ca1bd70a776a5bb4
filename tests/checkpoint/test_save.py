import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import raydet
from raydet.checkpoint import load, save_checkpoint, weights_to_cpu, write_atomically


def trained():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_layout_is_that_of_2x(tmp_path):
    model, optimizer = trained()
    model.CLASSES = ("cat", "dog")
    save_checkpoint(model, tmp_path / "sub" / "epoch_1.pth", optimizer, meta=dict(epoch=1, iter=20))
    content = load(tmp_path / "sub" / "epoch_1.pth")
    assert sorted(content) == ["meta", "optimizer", "state_dict"]
    assert content["meta"].items() >= dict(epoch=1, iter=20, CLASSES=("cat", "dog")).items()
    assert content["meta"]["raydet_version"] == raydet.__version__
    assert isinstance(content["meta"]["time"], str)
    assert torch.equal(content["state_dict"]["weight"], model.weight)
    optimizer.load_state_dict(content["optimizer"])


def test_several_optimizers_are_kept_by_name(tmp_path):
    model, optimizer = trained()
    save_checkpoint(model, tmp_path / "a.pth", dict(g=optimizer, d=optimizer))
    assert sorted(load(tmp_path / "a.pth")["optimizer"]) == ["d", "g"]


def test_without_optimizer_and_meta_there_are_weights_and_time(tmp_path):
    save_checkpoint(nn.Linear(1, 1), tmp_path / "a.pth")
    content = load(tmp_path / "a.pth")
    assert sorted(content) == ["meta", "state_dict"]
    assert "time" in content["meta"]


def test_wrapped_model_is_saved_without_its_wrapper(tmp_path):
    save_checkpoint(nn.DataParallel(nn.Linear(1, 1)), tmp_path / "a.pth")
    assert list(load(tmp_path / "a.pth")["state_dict"]) == ["weight", "bias"]


def test_meta_with_config_dicts_paths_and_arrays_can_be_read_back(tmp_path):
    from raydet.config import ConfigDict

    meta = dict(cfg=ConfigDict(model=dict(type="A")), path=Path("a/b"), best=np.float64(0.5), states=[torch.zeros(2)])
    save_checkpoint(nn.Linear(1, 1), tmp_path / "a.pth", meta=meta)
    read = load(tmp_path / "a.pth")["meta"]
    assert read["cfg"] == {"model": {"type": "A"}}
    assert read["path"] == os.path.join("a", "b")
    assert read["best"] == 0.5


class Custom:
    pass


@pytest.mark.parametrize("value", [Custom(), [Custom()], {"a": Custom}, lambda: 0, os.system])
def test_meta_that_could_not_be_read_back_is_refused(tmp_path, value):
    with pytest.raises(TypeError, match="odd"):
        save_checkpoint(nn.Linear(1, 1), tmp_path / "a.pth", meta=dict(odd=value))
    assert not list(tmp_path.iterdir())


def test_meta_that_is_no_dict_is_refused(tmp_path):
    with pytest.raises(TypeError, match="meta"):
        save_checkpoint(nn.Linear(1, 1), tmp_path / "a.pth", meta=[1])


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "latest.pth"
    write_atomically({"a": 1}, path)

    def fail(content, file):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="space"):
        write_atomically({"a": 2}, path)
    monkeypatch.undo()
    assert load(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_file_appears_complete_under_its_name(tmp_path, monkeypatch):
    seen = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append((load(a), Path(b).exists())), replace(a, b)))
    write_atomically({"a": 1}, tmp_path / "x.pth")
    assert seen == [({"a": 1}, False)]


def test_weights_to_cpu_keeps_order_and_versions_and_does_not_copy():
    state = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1)).state_dict()
    moved = weights_to_cpu(state)
    assert list(moved) == list(state)
    assert moved._metadata == state._metadata
    assert moved["0.weight"].data_ptr() == state["0.weight"].data_ptr()


def test_url_as_file_name_is_refused():
    with pytest.raises(ValueError, match="s3://bucket"):
        save_checkpoint(nn.Linear(1, 1), "s3://bucket/a.pth")
