"""Checkpoints that are handed to the run folder, on a disk and where a folder stands for object storage."""

import json

import pyarrow.fs as pafs
import pytest
import torch
from away import away

from raydet.checkpoint import save_checkpoint
from raydet.distributed.outbox import Outbox, new_name
from raydet.distributed.storage import RunFolder


@pytest.fixture
def remote(tmp_path):
    """A run folder that is not a disk of this machine, as far as anybody can tell."""
    (tmp_path / "there" / "runs" / "a").mkdir(parents=True)
    place = tmp_path / "there"
    return lambda failures=0: RunFolder(away(place, failures, ["open_output_stream"]), "runs", "a", "s3://bucket/runs")


def write(folder, number):
    path = folder / f"epoch_{number}.pth"
    save_checkpoint(torch.nn.Linear(1, 1), path)
    return path


def note(run, names):
    """What Ray Train notes of complete checkpoints."""
    results = [{"checkpoint_dir_name": name} for name in names]
    state = {"checkpoint_results": results, "checkpoint_report_indices": list(range(len(names)))}
    (run / "checkpoint_manager_snapshot.json").write_text(json.dumps(state))


def sent(outbox, path):
    name = new_name()
    outbox.send(outbox.put(path, name), name, path)
    return name


def test_checkpoints_go_to_the_storage_with_their_digests_and_the_newest_stays_here(remote, tmp_path):
    lines = []
    outbox = Outbox(remote(), tmp_path, lines.append)
    names = [sent(outbox, write(tmp_path, number)) for number in (1, 2, 3)]
    assert names == sorted(names)
    there = tmp_path / "there" / "runs" / "a"
    assert {path.name for path in (there / names[1]).iterdir()} == {"epoch_2.pth", "epoch_2.pth.sha256"}
    assert [path.name for path in tmp_path.glob("*.pth")] == ["epoch_3.pth"]
    assert lines[-1].startswith("epoch_3.pth is in s3://bucket/runs/a after")
    note(there, names[:2])
    found = list(outbox.arrivals(names[1]))
    assert [path.name for path in found] == ["epoch_2.pth", "epoch_1.pth"]
    assert found[0].with_name("epoch_2.pth.sha256").exists()


def test_upload_waits_for_a_storage_that_is_away_and_says_so(remote, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("raydet.transforms.patience.FIRST_DELAY", 0.01)
    outbox = Outbox(remote(failures=3), tmp_path, print)
    name = sent(outbox, write(tmp_path, 1))
    assert (tmp_path / "there" / "runs" / "a" / name / "epoch_1.pth").exists()
    assert "s3://bucket does not answer" in caplog.text
    assert "answers again" in caplog.text


def test_what_dead_workers_left_is_removed_but_not_what_is_registered(remote, tmp_path):
    outbox = Outbox(remote(), tmp_path, print)
    first, _ = (sent(outbox, write(tmp_path, number)) for number in (1, 2))
    outbox.put(write(tmp_path, 3), new_name())
    note(tmp_path / "there" / "runs" / "a", [first])
    Outbox(remote(), tmp_path, print, rank=1).clear()
    assert len(remote().checkpoints()) == 2
    Outbox(remote(), tmp_path, print).clear()
    assert not list(tmp_path.glob(".rank_*"))
    assert remote().checkpoints() == [first]


def test_on_a_shared_disk_checkpoints_are_links(tmp_path):
    folder = RunFolder(pafs.LocalFileSystem(), str(tmp_path), "a", str(tmp_path))
    path = write(tmp_path / "a", 1)
    outbox = Outbox(folder, tmp_path / "a", print)
    name = sent(outbox, path)
    assert (tmp_path / "a" / name / "epoch_1.pth").samefile(path)
    assert next(outbox.arrivals(name)) == tmp_path / "a" / name / "epoch_1.pth"


def test_each_worker_sends_its_part_of_a_checkpoint_in_shards(remote, tmp_path):
    path = tmp_path / "epoch_1.shards"
    path.mkdir()
    for name in ("__0_0.distcp", "__1_0.distcp", ".metadata", "run.pth", "SHA256SUMS"):
        (path / name).write_text(name)
    name = new_name()
    there = tmp_path / "there" / "runs" / "a" / name / "epoch_1.shards"
    for rank, part in ((1, {"__1_0.distcp"}), (0, {each.name for each in path.iterdir()})):
        outbox = Outbox(remote(), tmp_path / f"node{rank}", print, rank)
        outbox.send(outbox.put(path, name if rank == 0 else new_name()), name, path)
        assert {each.name for each in there.iterdir()} == part
    assert next(outbox.arrivals(name)).name == "epoch_1.shards"
