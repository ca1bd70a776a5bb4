"""`raydet optimize-anchors`: fit the anchors of a config to the boxes of its training data."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from raydet.cli.options import add_config, load_config

EXAMPLES = """examples:
  raydet optimize-anchors yolov3_d53_320_273e_coco --algorithm k-means --input-shape 320 320
  raydet optimize-anchors my_retinanet.py --algorithm differential_evolution --num-anchors 6
  raydet optimize-anchors my_yolo.py --algorithm v5-k-means --output-dir anchors/"""
RESULT = "anchor_optimize_result.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config(parser)
    parser.add_argument(
        "--algorithm",
        choices=("differential_evolution", "k-means", "v5-k-means"),
        default="differential_evolution",
        help="how (differential_evolution)",
    )
    parser.add_argument(
        "--input-shape",
        nargs="+",
        type=int,
        metavar="N",
        help="width and height of the network's input; what the training pipeline's Resize says if left out",
    )
    parser.add_argument(
        "--num-anchors", type=int, metavar="N", help="at each place of a map, or in all for YOLO; as in the config"
    )
    parser.add_argument("--iters", type=int, default=1000, metavar="N", help="iterations of the algorithm (1000)")
    parser.add_argument("--generator", metavar="KEY", help="dotted key of the anchor generator if there are several")
    parser.add_argument("--output-dir", metavar="DIR", help=f"also write the sizes to DIR/{RESULT}")


def run(args: argparse.Namespace) -> int:
    """Print the new anchors beside the old ones' figures."""
    shape = args.input_shape
    if shape is not None and len(shape) > 2:
        raise ValueError(f"--input-shape takes one side, or width and height, got {shape}")
    cfg = load_config(args)
    from raydet.analysis import optimize_anchors

    found = optimize_anchors(
        cfg,
        args.algorithm,
        None if shape is None else (shape[0], shape[-1]),
        args.num_anchors,
        args.iters,
        args.generator,
    )
    print(f"{found.num_boxes} boxes")
    for name, figures in (("before", found.before), ("after", found.after)):
        print(f"{name:<7} recall at IoU 0.5 {figures['anchor_recall']:.4f}, mean best IoU {figures['anchor_iou']:.4f}")
    changed = {key: found.generator[key] for key in ("scales", "ratios", "base_sizes") if key in found.generator}
    print(f"Anchor optimize result: {found.sizes}")
    print(f"in the config: {found.key} = " + ", ".join(f"{key}={value}" for key, value in changed.items()))
    if args.output_dir:
        file = Path(args.output_dir, RESULT)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found.sizes), encoding="utf-8")
        print(f"wrote {file}")
    return 0
