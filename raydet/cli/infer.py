"""`raydet infer`: find objects in pictures, draw them and write them down."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from raydet.cli.images import find_images, output_names
from raydet.cli.options import add_device, add_overrides, load_config, resolve_device
from raydet.cli.run_folder import default_run, find_checkpoint, find_run_config

EXAMPLES = """examples:
  raydet infer street.jpg --out drawn/
  raydet infer street.jpg --run work_dirs/my-run --out drawn/
  raydet infer holiday/ 'shots/**/*.png' --config my_config.py --checkpoint epoch_12.pth --out drawn/ --score-thr 0.5

Writes a picture for each image and detections.json: boxes (x1, y1, x2, y2 in pixels), scores, classes, masks (RLE)."""
RESULT_FILE = "detections.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="files, folders or quoted patterns")
    parser.add_argument("--out", required=True, metavar="DIR", help="where pictures and detections.json go")
    parser.add_argument(
        "--run",
        metavar="FOLDER",
        help="run folder, with config and checkpoint; else the newest in work_dirs/",
    )
    parser.add_argument("--config", metavar="CONFIG", help="config, in place of the run's")
    parser.add_argument("--checkpoint", metavar="FILE", help="checkpoint, in place of the run's")
    parser.add_argument("--score-thr", type=float, default=0.3, metavar="S", help="least score drawn and written (0.3)")
    parser.add_argument("--no-pictures", action="store_true", help="write detections.json only")
    add_device(parser)
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    """Detect, draw, write; 1 if some images could not be read."""
    images = find_images(args.images)
    model = _model(args)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    failed = 0
    for image, name in zip(images, output_names(images), strict=True):
        try:
            records.append(_detect(model, image, None if args.no_pictures else out / name, args.score_thr))
        except (ValueError, OSError) as error:
            failed += 1
            print(f"raydet: {image} is left out: {error}", file=sys.stderr)
            continue
        print(f"{image}: {len(records[-1]['detections'])} objects")
    content = {"classes": list(model.CLASSES), "score_thr": args.score_thr, "images": records}
    (out / RESULT_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{len(records)} images done, {failed} left out; see {out / RESULT_FILE}")
    return 1 if failed else 0


def _model(args: argparse.Namespace) -> Any:
    folder = args.run
    if folder is None and (args.config is None or args.checkpoint is None):
        folder = default_run()
    cfg = load_config(args, args.config or find_run_config(folder))
    checkpoint = find_checkpoint(args.checkpoint or folder)
    print(f"model: {checkpoint}")
    from raydet.engine import init_detector

    return init_detector(cfg, checkpoint, device=resolve_device(args.device))


def _detect(model: Any, image: Path, picture: Path | None, score_thr: float) -> dict[str, Any]:
    from raydet.engine import inference_detector
    from raydet.visualization import objects_from_result, read_image, show_result

    pixels = read_image(image)
    result = inference_detector(model, pixels)
    if picture is not None:
        show_result(model, pixels, result, score_thr, picture)
    height, width = pixels.shape[:2]
    found = objects_from_result(result, score_thr).records(model.CLASSES)
    return {"file": str(image), "width": width, "height": height, "detections": found}
