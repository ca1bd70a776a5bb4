"""`raydet browse`: draw what each step of a pipeline makes of the images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from raydet.cli.options import add_config, load_config

EXAMPLES = """examples:
  raydet browse my_config.py
  raydet browse my_config.py --stage all --num 3 --out stages/
  raydet browse my_config.py --stage 2 --split val"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config(parser)
    parser.add_argument("--stage", default="last", metavar="N", help="draw after step 1, 2 ..., last (default) or all")
    parser.add_argument("--out", default="browse", metavar="DIR", help="folder of the pictures (browse)")
    parser.add_argument("--num", type=int, default=10, metavar="N", help="images to draw (10)")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train", help="part of data (train)")
    parser.add_argument("--seed", type=int, default=0, help="of random steps (0)")


def run(args: argparse.Namespace) -> int:
    """Write the pictures."""
    only = _stage(args.stage)
    cfg = load_config(args)
    from raydet.visualization import draw_stages, stage_files, write_image

    dataset = _dataset(cfg, args.split)
    count = 0
    for index in range(min(args.num, len(dataset))):
        for stage in draw_stages(dataset, index, args.seed + index, only):
            for name, picture in stage_files(stage, f"{index:04d}"):
                write_image(picture, Path(args.out, name))
                count += 1
    print(f"{count} pictures in {args.out}")
    return 0


def _stage(text: str) -> int | None:
    if text in ("all", "last"):
        return None if text == "all" else -1
    if not text.isdigit() or text == "0":
        raise ValueError(f"--stage is the number of a step from 1 on, 'last' or 'all', got {text!r}")
    return int(text)


def _dataset(cfg: Any, split: str) -> Any:
    from raydet.config import compat_cfg, ensure_valid, update_data_root
    from raydet.datasets import build_dataset
    from raydet.engine.data import evaluation_dataset

    ensure_valid(cfg)
    cfg = compat_cfg(cfg)
    update_data_root(cfg)
    return build_dataset(cfg["data"]["train"]) if split == "train" else evaluation_dataset(cfg, split)
