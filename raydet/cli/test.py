"""`raydet test`: run a checkpoint over a data set, measure, write and draw the results."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from raydet.cli.options import (
    add_cluster,
    add_config,
    add_device,
    add_evaluation,
    cluster_options,
    load_config,
    resolve_device,
    told,
)
from raydet.cli.run_folder import find_checkpoint

EXAMPLES = """examples:
  raydet test retinanet_r50_fpn_1x_coco work_dirs/my-run --eval bbox
  raydet test my_config.py epoch_12.pth --eval bbox segm --eval-options classwise=True --out results.pkl
  raydet test my_config.py epoch_12.pth --num-workers 8 --use-gpu
  raydet test my_config.py epoch_12.pth --show-dir drawn/
  raydet test my_config.py epoch_12.pth --format-only --eval-options jsonfile_prefix=submission/results"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config(parser)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="file, or run folder: its best or newest checkpoint")
    add_evaluation(parser)
    parser.add_argument("--out", metavar="FILE", help="also write the raw results: .pkl, .json or .parquet")
    parser.add_argument("--show-dir", metavar="DIR", help="also draw the results")
    parser.add_argument("--show-score-thr", type=float, default=0.3, metavar="S", help="least score drawn (0.3)")
    parser.add_argument("--work-dir", metavar="DIR", help="where eval.json goes; the run folder if one is given")
    add_device(parser)
    add_cluster(parser)


def run(args: argparse.Namespace) -> int:
    """Test, then print the numbers."""
    cfg = load_config(args)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(args.out) if args.out else Path(folder, "results.pkl") if args.show_dir else None
        metrics = _test(cfg, args, out)
        if args.show_dir and out is not None:
            count = _draw(cfg, args, out)
            print(f"{count} pictures in {args.show_dir}")
    for name, value in metrics.items():
        print(f"{name}: {value}")
    return 0


def _test(cfg: Any, args: argparse.Namespace, out: Path | None) -> dict[str, Any]:
    """The metrics, computed in this process or, with --num-workers, on a cluster."""
    options: dict[str, Any] = {
        "work_dir": args.work_dir or (args.checkpoint if Path(args.checkpoint).is_dir() else None),
        "eval_metrics": args.eval,
        "eval_options": args.eval_options,
        "out": out,
        "format_only": args.format_only,
        "split": args.split,
    }
    checkpoint = find_checkpoint(args.checkpoint)
    if args.num_workers is None:
        from raydet.engine import test

        return test(cfg, checkpoint, device=resolve_device(args.device), **options)
    from raydet import distributed

    with told():
        return dict(distributed.test(cfg, checkpoint, **cluster_options(args), **options))


def _draw(cfg: Any, args: argparse.Namespace, results_file: Path) -> int:
    from raydet.config import compat_cfg, update_data_root
    from raydet.engine.data import evaluation_dataset
    from raydet.evaluation import read_results
    from raydet.visualization import image_file, show_result

    cfg = compat_cfg(cfg)
    update_data_root(cfg)
    dataset = evaluation_dataset(cfg, args.split)
    results = read_results(results_file)
    for i, result in enumerate(results):
        image = image_file(dataset, i)
        show_result(dataset, image, result, args.show_score_thr, Path(args.show_dir, image.name))
    return len(results)
