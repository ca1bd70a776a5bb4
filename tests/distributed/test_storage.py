import pyarrow.fs as pafs
import pytest

from raydet.distributed.storage import RunFolder, newest_run, open_run_folder, open_storage, shown, unique_name


def test_open_run_folder_without_name_makes_unique_names(tmp_path):
    first, second = (open_run_folder(tmp_path, None, stem="retinanet", resume=False).name for _ in range(2))
    assert first != second
    assert first.startswith("retinanet_")


def test_open_run_folder_with_used_name_refuses_with_remedy(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "epoch_1.pth").touch()
    with pytest.raises(ValueError, match=r"already holds a run \(epoch_1.pth.*resume=True"):
        open_run_folder(tmp_path, "run", stem="x", resume=False)


def test_open_run_folder_with_used_name_and_resume_returns_it(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "epoch_1.pth").touch()
    folder = open_run_folder(tmp_path, "run", stem="x", resume=True)
    assert folder.local == tmp_path / "run"
    assert folder.files() == ["epoch_1.pth"]


def test_open_run_folder_after_failed_start_takes_name_again(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".validate_storage_marker").touch()
    assert open_run_folder(tmp_path, "run", stem="x", resume=False).name == "run"


def test_open_run_folder_resume_without_name_takes_newest(tmp_path):
    for name in ("det_20260101_000000_aaaa", "det_20260301_000000_aaaa", "other_20270101_000000_aaaa"):
        (tmp_path / name).mkdir()
    assert open_run_folder(tmp_path, None, stem="det", resume=True).name == "det_20260301_000000_aaaa"


def test_open_run_folder_resume_without_runs_says_so(tmp_path):
    with pytest.raises(ValueError, match="holds no run of 'det'"):
        open_run_folder(tmp_path, None, stem="det", resume=True)


def test_open_run_folder_with_work_dir_is_that_folder(tmp_path):
    folder = open_run_folder(None, None, stem="x", resume=False, work_dir=str(tmp_path / "a" / "b"))
    assert folder.local == tmp_path / "a" / "b"


@pytest.mark.parametrize("name", ["a/b", "..", ""])
def test_open_run_folder_with_path_as_name_refuses(tmp_path, name):
    with pytest.raises(ValueError, match="one path element"):
        open_run_folder(tmp_path, name, stem="x", resume=False)


def test_newest_run_without_folder_is_none(tmp_path):
    assert newest_run(pafs.LocalFileSystem(), str(tmp_path / "absent"), "x") is None


def test_open_storage_with_relative_path_makes_it_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    filesystem, path = open_storage("runs")
    assert isinstance(filesystem, pafs.LocalFileSystem)
    assert path == str(tmp_path / "runs")


def test_open_storage_with_s3_uri_takes_endpoint_from_environment(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    filesystem, path = open_storage("s3://key:se%2Fcret@bucket/a/b/")
    assert path == "bucket/a/b"
    assert filesystem.region == "us-east-1"


def test_open_storage_with_unknown_s3_option_names_it():
    with pytest.raises(ValueError, match="endpont"):
        open_storage("s3://bucket/a?endpont=x&region=eu-central-1")


def test_unique_name_sorts_by_time():
    assert len({unique_name("x") for _ in range(5)}) == 5


def test_run_folder_in_bucket_is_shown_without_credentials():
    filesystem, root = open_storage("s3://key:secret@bucket/a?region=x")
    folder = RunFolder(filesystem, root, "run", shown("s3://key:secret@bucket/a?region=x"))
    assert str(folder) == "s3://bucket/a/run?region=x"
