"""`raydet convert`: any data set into Parquet files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raydet.cli.options import add_overrides

EXAMPLES = """examples:
  raydet convert my_config.py --to parquet data/train_parquet --split train --embed-images
  raydet convert instances_train.json --img-prefix images --to parquet s3://bucket/train
  raydet convert yolo/data.yaml --split val --to parquet data/val_parquet

In a config, data.train = dict(type='ParquetDataset', ann_file='data/train_parquet', pipeline=...) reads it back.
A conversion that was cut off goes on where it was when it is started again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a config; or a COCO .json, a data.yaml or label folder of YOLO, or Parquet",
    )
    parser.add_argument("out", metavar="OUT", help="new folder, local or s3://bucket/folder")
    parser.add_argument("--to", choices=["parquet"], default="parquet", help="format (parquet)")
    parser.add_argument("--split", default="train", help="which of the config's or data.yaml's data (train)")
    parser.add_argument("--img-prefix", default="", metavar="DIR", help="folder of the images of a COCO .json")
    parser.add_argument("--embed-images", action="store_true", help="put the image files in, as they are")
    parser.add_argument("--shard-size", type=int, metavar="N", help="images per file (1000 if embedded, else 100000)")
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    """Convert, and say what was written."""
    from raydet.datasets.log import LOGGER
    from raydet.datasets.parquet_rows import leaves
    from raydet.datasets.parquet_writer import write_parquet
    from raydet.engine.progress import Display

    if args.shard_size is not None and args.shard_size < 1:
        raise ValueError(f"--shard-size must be 1 at least, got {args.shard_size}")
    dataset = open_source(args)
    total = sum(map(len, leaves(dataset)))
    display = Display(total, "images", LOGGER)
    try:
        files = write_parquet(
            dataset,
            args.out,
            embed_images=args.embed_images,
            shard_size=args.shard_size,
            advance=display.advance,
        )
    finally:
        display.close()
    print(f"{total} images in {len(files)} files in {args.out}")
    return 0


def open_source(args: argparse.Namespace) -> Any:
    """The data set that the arguments name, with all its images."""
    from raydet.datasets import build_dataset

    source, common = args.source, {"pipeline": [], "test_mode": True}
    if _is_coco(source):
        return build_dataset({"type": _every_class(), "ann_file": source, "img_prefix": args.img_prefix, **common})
    if source.endswith((".parquet", ".arrow", ".feather")) or (Path(source).is_dir() and _has_parquet(source)):
        return build_dataset({"type": "ParquetDataset", "ann_file": source, "img_prefix": args.img_prefix, **common})
    if Path(source).is_dir() or _is_yolo(source):
        return build_dataset(
            {"type": "YOLODataset", "ann_file": source, "img_prefix": args.img_prefix, "split": args.split, **common}
        )
    return build_dataset(_split_of_config(args))


def _every_class() -> Any:
    from raydet.datasets import CocoDataset

    return type("CocoDataset", (CocoDataset,), {"CLASSES": None})


def _is_coco(source: str) -> bool:
    """Whether a JSON file holds annotations, as a config may be JSON, too."""
    return source.endswith(".json") and b'"images"' in _read(source)


def _is_yolo(source: str) -> bool:
    return source.endswith((".yaml", ".yml")) and b"\nnames:" in b"\n" + _read(source)


def _read(source: str) -> bytes:
    from raydet.transforms import read_bytes

    return read_bytes(source)


def _has_parquet(folder: str) -> bool:
    return any(Path(folder).glob("*.parquet"))


def _split_of_config(args: argparse.Namespace) -> Any:
    from raydet.cli.options import load_config
    from raydet.config import compat_cfg, update_data_root
    from raydet.datasets.builder import split_section

    args.config = args.source
    cfg = compat_cfg(load_config(args))
    update_data_root(cfg)
    if args.split not in cfg.data:
        known = [key for key, value in cfg.data.items() if isinstance(value, (Mapping, list))]
        raise ValueError(f"{args.source} has no data.{args.split}; --split can be one of {', '.join(known)}")
    return [_whole(part) for part in split_section(cfg.data[args.split])]


def _whole(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A data set to be read whole and without transforms."""
    loading = [step for step in cfg.get("pipeline", ()) if step.get("type") == "LoadImageFromFile"]
    return {**cfg, "pipeline": loading[:1], "test_mode": True}
