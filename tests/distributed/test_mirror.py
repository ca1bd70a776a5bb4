import pyarrow.fs as pafs
import pytest

from raydet.distributed.mirror import RunMirror
from raydet.distributed.storage import RunFolder


@pytest.fixture
def mirrored(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (target / "runs" / "a").mkdir(parents=True)
    folder = RunFolder(pafs.SubTreeFileSystem(str(target), pafs.LocalFileSystem()), "runs", "a", "elsewhere")
    return source, target / "runs" / "a", RunMirror(source, folder)


def test_mirror_copies_logs_and_best_but_not_epoch_checkpoints(mirrored):
    source, target, mirror = mirrored
    for name in ("x.log.json", "config.py", "epoch_1.pth", "best_bbox_mAP_epoch_1.pth", ".hidden"):
        (source / name).write_text(name)
    mirror.close()
    assert sorted(path.name for path in target.iterdir()) == ["best_bbox_mAP_epoch_1.pth", "config.py", "x.log.json"]


def test_mirror_follows_changes_and_deletions(mirrored):
    source, target, mirror = mirrored
    (source / "x.log").write_text("one")
    (source / "best_a.pth").write_text("old")
    mirror.update()
    mirror._round.result()
    (source / "x.log").write_text("one two")
    (source / "best_a.pth").unlink()
    mirror.close()
    assert (target / "x.log").read_text() == "one two"
    assert not (target / "best_a.pth").exists()
