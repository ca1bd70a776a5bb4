"""A file system that waits for its storage."""

import pickle

import pyarrow.fs as pafs
import pytest
from away import away

from raydet.distributed.patient import PatientHandler, direct, patient


@pytest.fixture
def storage(tmp_path, monkeypatch):
    monkeypatch.setattr("raydet.transforms.patience.FIRST_DELAY", 0.01)
    return patient(away(tmp_path, failures=3), "s3://bucket")


def test_operations_are_tried_until_the_storage_answers(storage, tmp_path):
    storage.create_dir("a")
    assert (tmp_path / "a").is_dir()


def test_file_appears_when_it_is_closed(storage, tmp_path):
    with storage.open_output_stream("state.json") as stream:
        stream.write(b"{}")
        assert not (tmp_path / "state.json").exists()
    assert (tmp_path / "state.json").read_bytes() == b"{}"
    assert storage.open_input_stream("state.json").read() == b"{}"


def test_copies_that_travelled_are_equal():
    filesystem = pafs.SubTreeFileSystem("/tmp", pafs.LocalFileSystem())
    one = patient(filesystem, "s3://bucket")
    other = pickle.loads(pickle.dumps(one))
    assert one == other
    assert isinstance(other.handler, PatientHandler)
    assert direct(other) == filesystem


def test_disks_need_no_patience():
    disk = pafs.LocalFileSystem()
    assert patient(disk, "/runs") is disk
    assert direct(disk) is disk
