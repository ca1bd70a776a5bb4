from pathlib import Path

from raydet.distributed.paths import resolve_paths


def test_resolve_paths_makes_data_and_checkpoints_absolute():
    cfg = {
        "load_from": "w.pth",
        "resume_from": None,
        "data": {
            "train": {"type": "RepeatDataset", "dataset": {"ann_file": ["a.json", "/b.json"], "img_prefix": "img/"}}
        },
    }
    resolve_paths(cfg, Path("/base"))
    assert cfg["load_from"] == "/base/w.pth"
    assert cfg["data"]["train"]["dataset"] == {"ann_file": ["/base/a.json", "/b.json"], "img_prefix": "/base/img/"}


def test_resolve_paths_below_data_root_resolves_only_the_root():
    cfg = {"data": {"val": {"data_root": "data/coco/", "ann_file": "a.json", "img_prefix": "val"}}}
    resolve_paths(cfg, Path("/base"))
    assert cfg["data"]["val"] == {"data_root": "/base/data/coco/", "ann_file": "a.json", "img_prefix": "val"}


def test_resolve_paths_leaves_uris_and_other_keys():
    cfg = {
        "load_from": "https://x/y.pth",
        "data": {"train": [{"ann_file": "s3://b/a.json", "type": "CocoDataset", "pipeline": [{"type": "Resize"}]}]},
    }
    before = {"load_from": cfg["load_from"], "ann": cfg["data"]["train"][0]["ann_file"]}
    resolve_paths(cfg, Path("/base"))
    assert {"load_from": cfg["load_from"], "ann": cfg["data"]["train"][0]["ann_file"]} == before
    assert cfg["data"]["train"][0]["type"] == "CocoDataset"
