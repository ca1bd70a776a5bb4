import argparse
import os
import pickle
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from raydet.checkpoint import CheckpointError, UnsafeCheckpointError, load, read_state_dict

GENUINE = Path(__file__).parents[3] / "shared" / "data" / "checkpoints"


class Evil:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def wrap_in_dict(evil):
    return {"state_dict": {"w": torch.ones(1)}, "meta": {"a": [evil]}}


def wrap_in_namespace(evil):
    return {"state_dict": {"w": torch.ones(1)}, "args": argparse.Namespace(x=evil)}


@pytest.mark.parametrize("wrap", [lambda evil: evil, wrap_in_dict, wrap_in_namespace])
@pytest.mark.parametrize("legacy", [False, True])
def test_malicious_checkpoint_is_refused_and_nothing_is_run(tmp_path, wrap, legacy):
    path, marker = tmp_path / "evil.pth", tmp_path / "marker"
    torch.save(wrap(Evil(os.mkdir, str(marker))), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsafeCheckpointError, match=r"mkdir") as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("function", [eval, exec, getattr, os.system])
def test_builtin_functions_are_refused_too(tmp_path, function):
    path = tmp_path / "evil.pth"
    torch.save({"a": Evil(function, "1")}, path)
    with pytest.raises(UnsafeCheckpointError, match=function.__name__):
        load(path)


def test_bare_pickle_is_refused_and_nothing_is_run(tmp_path):
    path, marker = tmp_path / "evil.pkl", tmp_path / "marker"
    path.write_bytes(pickle.dumps(Evil(os.mkdir, str(marker))))
    with pytest.raises(CheckpointError):
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.float64(0.25),
        np.int64(3),
        np.bool_(True),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array(["a", "bc"]),
        OrderedDict(a=1),
        {1, 2},
        (1, "a", None, 2.5, b"x", 1 + 2j),
        argparse.Namespace(lr=0.1),
        Path("a/b.py"),
        torch.Size([1, 2]),
        torch.float16,
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_values_come_back(tmp_path, value):
    torch.save({"meta": {"value": value}}, tmp_path / "a.pth")
    loaded = load(tmp_path / "a.pth")["meta"]["value"]
    assert np.array_equal(loaded, value) if isinstance(value, np.ndarray) else str(loaded) == str(value)


@pytest.fixture
def foreign(monkeypatch):
    """A class of a package that readers of the file do not have."""

    def make(module, name, bases=(), body=None):
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            monkeypatch.setitem(__import__("sys").modules, ".".join(parts[:depth]), types.ModuleType(parts[depth - 1]))
        made = type(name, bases, {"__module__": module, "__qualname__": name, **(body or {})})
        setattr(__import__("sys").modules[module], name, made)
        return made

    return make


def test_config_dict_of_2x_comes_back_as_a_dict(tmp_path, foreign):
    config_dict = foreign("mmcv.utils.config", "ConfigDict", (dict,))
    torch.save({"meta": {"cfg": config_dict(lr=0.1, model=config_dict(type="A"))}}, tmp_path / "a.pth")
    assert load(tmp_path / "a.pth")["meta"]["cfg"] == {"lr": 0.1, "model": {"type": "A"}}


def test_log_buffer_of_later_versions_is_kept_as_a_record(tmp_path, foreign):
    buffer = foreign("mmengine.logging.history_buffer", "HistoryBuffer")()
    buffer.values = np.array([1.0, 2.0])
    torch.save({"message_hub": {"loss": buffer}}, tmp_path / "a.pth")
    record = load(tmp_path / "a.pth")["message_hub"]["loss"]
    assert record.state["values"].tolist() == [1.0, 2.0]


def test_evil_inside_a_log_buffer_is_refused(tmp_path, foreign):
    buffer = foreign("mmengine.logging.history_buffer", "HistoryBuffer")()
    buffer.values = Evil(os.mkdir, str(tmp_path / "marker"))
    torch.save({"message_hub": {"loss": buffer}}, tmp_path / "a.pth")
    with pytest.raises(UnsafeCheckpointError):
        load(tmp_path / "a.pth")
    assert not (tmp_path / "marker").exists()


def test_list_of_allowed_names_is_not_left_open():
    load_before = set(torch.serialization.get_safe_globals())
    assert argparse.Namespace not in load_before


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"PK\x03\x04 broken", b"\x80\x02}q\x00."])
def test_other_file_is_an_error_that_names_it(tmp_path, content):
    path = tmp_path / "odd.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"odd\.pth"):
        load(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_checkpoint_is_an_error_that_names_it(tmp_path, part, legacy):
    path = tmp_path / "cut.pth"
    torch.save({"state_dict": {"w": torch.rand(1000)}}, path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(CheckpointError, match=r"cut\.pth"):
        load(path)


def test_missing_file_and_folder_are_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        load(tmp_path / "none.pth")
    with pytest.raises(FileNotFoundError, match="folder"):
        load(tmp_path)


def test_map_location_places_tensors(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "a.pth")
    assert load(tmp_path / "a.pth", map_location="meta")["w"].is_meta


@pytest.mark.parametrize("name", ["mmdet_yunet_n.pth", "mmdet_yunet_s.pth"])
def test_genuine_2x_checkpoint_opens(name):
    if not (GENUINE / name).is_file():
        pytest.skip("genuine checkpoints are absent")
    checkpoint = load(GENUINE / name)
    assert sorted(checkpoint) == ["meta", "optimizer", "state_dict"]
    assert checkpoint["meta"]["epoch"] == 560
    assert checkpoint["meta"]["mmdet_version"].startswith("2.24.1")
    assert all(isinstance(value, torch.Tensor) for value in read_state_dict(checkpoint).values())
