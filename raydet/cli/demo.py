"""`raydet demo`: the whole way on a small real data set, from config to pictures."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from raydet.cli.train import launch

EXAMPLES = """examples:
  raydet demo nuclei                 cell nuclei in micrographs, boxes and masks
  raydet demo trees --num-workers 2  trees in aerial photographs, boxes

Trains on Ray Train workers fed by Ray Data, evaluates as COCO does, and draws ground truth beside what was found."""
CONFIGS = {"nuclei": "demo/nuclei_*", "trees": "demo/trees_*"}
PICTURE_SIZE = 512


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from raydet.config import DictAction

    parser.add_argument("demo", choices=sorted(CONFIGS), help="which data")
    parser.add_argument("--num-workers", type=int, default=2, metavar="N", help="Ray Train workers (2)")
    parser.add_argument("--use-gpu", action="store_true", help="one GPU for each worker")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all random draws (0)")
    parser.add_argument("--work-dir", metavar="DIR", help="run folder; a new one in work_dirs/ if left out")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, default={}, metavar="KEY=VALUE")


def run(args: argparse.Namespace) -> int:
    """Train, evaluate, draw, and say what can be done next."""
    from raydet.config import Config

    file = demo_config(args.demo)
    cfg = Config.fromfile(file)
    cfg.merge_from_dict({"seed": args.seed, **args.cfg_options})
    print(f"training {file} with {args.num_workers} Ray workers")
    start = time.monotonic()
    result = launch(cfg, num_workers=args.num_workers, use_gpu=args.use_gpu, work_dir=args.work_dir)
    seconds = time.monotonic() - start
    if result.checkpoint is None:
        raise ValueError(f"the run {result.folder} left no checkpoint; does checkpoint_config save one?")
    pictures = draw_split(cfg, result.checkpoint, Path(result.folder, "pictures"))
    print(f"\ntrained and evaluated in {seconds:.0f} s")
    print(scores(result.metrics))
    print(f"run folder: {result.folder}")
    print(f"pictures:   {pictures} (ground truth left, found right)")
    print(f"next: raydet infer IMAGE... --run {result.folder} --out drawn/")
    print(f"      raydet test {Path(file).stem} {result.folder}")
    print(f"      raydet train {Path(file).stem} --num-workers 2 --cfg-options optimizer.lr=0.01")
    return 0


def demo_config(name: str) -> str:
    """File of a demo's config."""
    from raydet.config import shipped_root

    root = shipped_root("configs")
    found = sorted(root.glob(f"{CONFIGS[name]}.py"))
    if not found:
        raise FileNotFoundError(f"this installation has no config {CONFIGS[name]}.py in {root}")
    return str(found[0])


def scores(metrics: dict[str, Any]) -> str:
    """A line for each kind of result: mAP and AP50."""
    kinds = [name.removesuffix("_mAP") for name in metrics if name.endswith("_mAP")]
    return "\n".join(f"{k:<5} mAP {metrics[f'{k}_mAP']:.3f}  AP50 {metrics[f'{k}_mAP_50']:.3f}" for k in kinds)


def draw_split(cfg: Any, checkpoint: Path, folder: Path) -> Path:
    """Pictures of the validation images of a config, truth beside results."""
    from raydet.config import compat_cfg, update_data_root
    from raydet.engine import inference_detector, init_detector
    from raydet.engine.data import evaluation_dataset
    from raydet.visualization import draw_comparison, image_file

    cfg = compat_cfg(cfg)
    update_data_root(cfg)
    dataset = evaluation_dataset(cfg, "val")
    model = init_detector(cfg, checkpoint, device="cpu")
    for i in range(len(dataset)):
        image = image_file(dataset, i)
        result = inference_detector(model, image)
        draw_comparison(dataset, i, result, folder / f"{image.stem}.png", min_size=PICTURE_SIZE)
    return folder
