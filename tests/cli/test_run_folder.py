from __future__ import annotations

import os

import pytest

from raydet.cli.run_folder import find_checkpoint, find_run_config


def touch(folder, *names):
    for age, name in enumerate(names):
        (folder / name).touch()
        os.utime(folder / name, (1000 + age, 1000 + age))
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["epoch_2.pth", "epoch_10.pth"], "epoch_10.pth"),
        (["best_bbox_mAP_epoch_1.pth", "epoch_2.pth"], "best_bbox_mAP_epoch_1.pth"),
        (["best_bbox_mAP_epoch_1.pth", "best_bbox_mAP_epoch_4.pth"], "best_bbox_mAP_epoch_4.pth"),
    ],
    ids=["newest", "best", "newest-best"],
)
def test_find_checkpoint_of_a_run_prefers_the_best(tmp_path, names, expected):
    assert find_checkpoint(touch(tmp_path, *names)).name == expected


def test_find_checkpoint_of_a_file_is_the_file(tmp_path):
    assert find_checkpoint(touch(tmp_path, "a.pth") / "a.pth") == tmp_path / "a.pth"


@pytest.mark.parametrize(("name", "message"), [("", "holds no checkpoint"), ("gone", "there is no checkpoint")])
def test_find_checkpoint_of_nothing_is_refused(tmp_path, name, message):
    with pytest.raises(FileNotFoundError, match=message):
        find_checkpoint(tmp_path / name)


def test_find_run_config_gives_the_only_one(tmp_path):
    assert find_run_config(touch(tmp_path, "my.py", "log.json")) == tmp_path / "my.py"


def test_find_run_config_of_several_asks_for_one(tmp_path):
    with pytest.raises(ValueError, match=r"a\.py, b\.py.*--config"):
        find_run_config(touch(tmp_path, "a.py", "b.py"))


@pytest.mark.parametrize(("name", "message"), [("", "holds no config"), ("gone", "no run folder")])
def test_find_run_config_of_nothing_is_refused(tmp_path, name, message):
    with pytest.raises(FileNotFoundError, match=message):
        find_run_config(tmp_path / name)
