"""Write docs/models.md: what every folder of configs describes, how large it is, and what agrees with the reference.

    python -m tools.model_table [--all] [--check]

Sizes that the page already has are kept unless `--all` is given, so that a new config costs seconds. `--check` writes
nothing and fails when the page lacks something. One config of each folder is measured: the one that is compared with
the reference, else the shortest name, ResNet-50 first.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from raydet.config import Config
from raydet.models import build_detector
from raydet.registry import BACKBONES, DETECTORS, HEADS, LOSSES, NECKS
from tools.conformance import LEVELS, read_list

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
PAGE = ROOT / "docs" / "models.md"
NO_MODELS = ("_base_", "common", "demo")
# Parts of most models, whose papers say little about the one at hand.
EVERYDAY = {"ResNet", "FPN", "FocalLoss", "L1Loss", "SmoothL1Loss", "IoULoss", "GIoULoss", "DiceLoss"}
INTRODUCTION = """# Models

Written by `make models` from the shipped configs. FLOPs are those of the network at the input size given, where a
multiplication and an addition are two; those of two-stage models count the boxes of a thousand regions, but no masks.
The last column says in what the model agrees with numbers recorded from MMDetection 2.28.1: building, state_dict keys,
outputs, losses, gradients, detections; models without an entry there have not been compared yet.
"""
HEADER = "| configs | detector | papers | measured | height x width | parameters (M) | GFLOPs | agrees in |"
Size = tuple[str, str, str]


@dataclass(frozen=True)
class Row:
    """What is known of a folder of configs without building its model."""

    folder: str
    configs: list[str]
    measured: str
    detector: str
    papers: list[str]
    levels: list[str]


def rows() -> list[Row]:
    """A row for every folder with models."""
    agreeing = read_list("models.txt")
    found = {path.parent.name: path.parent for path in CONFIGS.glob("*/*.py") if path.parent.name not in NO_MODELS}
    return [_row(folder, agreeing) for _, folder in sorted(found.items())]


def _row(folder: Path, agreeing: Mapping[str, set[str]]) -> Row:
    names = sorted(path.stem for path in folder.glob("*.py"))
    compared = [name for name in names if f"{folder.name}__{name}" in agreeing]
    name = min(compared or names, key=lambda each: ("r50" not in each, len(each), each))
    model = Config.fromfile(folder / f"{name}.py").model
    heads = [value["type"] for key, value in model.items() if key.endswith("head") and isinstance(value, Mapping)]
    detector = f"{model['type']} ({', '.join(heads)})"
    agreed = agreeing.get(f"{folder.name}__{name}", set())
    return Row(folder.name, names, name, detector, papers(model), [level for level in LEVELS if level in agreed])


def papers(model: Mapping[str, Any]) -> list[str]:
    """The arXiv numbers that the parts of a model give in their docstrings, or else in that of their file."""
    found = [number for name in dict.fromkeys(_types(model)) if name not in EVERYDAY for number in _cited(name)]
    return list(dict.fromkeys(found))


def _types(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("type"), str):
            yield value["type"]
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _types(each)


def _cited(name: str) -> list[str]:
    kinds = [registry.get(name) for registry in (DETECTORS, BACKBONES, NECKS, HEADS, LOSSES) if name in registry]
    texts = [text for kind in kinds for text in (kind.__doc__, sys.modules[kind.__module__].__doc__) if text]
    return next((numbers for text in texts if (numbers := re.findall(r"arXiv:(\d{4}\.\d{5})", text))), [])


def measure(file: Path) -> Size:
    """Input size, parameters in millions and GFLOPs of the model of a config, as the page has them."""
    cfg = Config.fromfile(file)
    height, width = input_size(cfg)
    model, flops = _run(cfg.model, height, width)
    return f"{height} x {width}", f"{sum(each.numel() for each in model.parameters()) / 1e6:.1f}", f"{flops / 1e9:.1f}"


def input_size(cfg: Config) -> tuple[int, int]:
    """Height and width of a square test image; 800 x 1280 where tests keep the shape of images."""
    scales = re.findall(r'"img_scale": \[(\d+), (\d+)\]', json.dumps(cfg.data.test.pipeline))
    square = [int(a) for a, b in scales if a == b]
    return (square[0], square[0]) if square else (800, 1280)


def _run(model: Any, height: int, width: int) -> tuple[Any, int]:
    """Without numbers where that will do: regions of two-stage models are sorted by their values."""
    device = "cpu" if "roi_head" in model else "meta"
    with torch.device(device), torch.no_grad():
        detector = build_detector(model).eval()
        deformable = {torch.ops.raydet.modulated_deform_conv2d: _deformable_flops}
        with FlopCounterMode(display=False, custom_mapping=deformable) as counter:
            detector.forward_dummy(torch.zeros(1, 3, height, width))
    return detector, counter.get_total_flops()


def _deformable_flops(
    input_shape: Any, offset_shape: Any, mask_shape: Any, weight_shape: Any, *args: Any, out_shape: Any, **kwargs: Any
) -> int:
    return int(2 * prod(out_shape) * prod(weight_shape[1:]))


def page(table: list[Row], sizes: Mapping[str, Size]) -> str:
    """The text of the page."""
    lines = [HEADER, re.sub(r"[^|]+", "---", HEADER), *(_line(row, sizes) for row in table)]
    lists = [f"`{row.folder}`: {', '.join(f'`{name}`' for name in row.configs)}" for row in table]
    return "\n".join([INTRODUCTION, *lines, "", "## All configs", "", "\n\n".join(lists), ""])


def _line(row: Row, sizes: Mapping[str, Size]) -> str:
    links = ", ".join(f"[{number}](https://arxiv.org/abs/{number})" for number in row.papers)
    levels = "all" if row.levels == list(LEVELS) else ", ".join(row.levels)
    size = sizes.get(row.measured, ("?", "?", "?"))
    return f"| {' | '.join([row.folder, row.detector, links, f'`{row.measured}`', *size, levels])} |"


def sizes_in(text: str) -> dict[str, Size]:
    """What a page says of the configs that were measured for it."""
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    return {row[3].strip("`"): (row[4], row[5], row[6]) for row in cells}


def main() -> int:
    """Bring the page up to date, or say that it is not."""
    parser = argparse.ArgumentParser(description="Write docs/models.md from the shipped configs.")
    parser.add_argument("--all", action="store_true", help="measure every model anew")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when the page is not up to date")
    args = parser.parse_args()
    old = PAGE.read_text() if PAGE.exists() else ""
    table, sizes = rows(), {} if args.all else sizes_in(old)
    if args.check:
        return 0 if page(table, sizes) == old else 1
    for row in table:
        if row.measured not in sizes:
            sizes[row.measured] = measure(CONFIGS / row.folder / f"{row.measured}.py")
            print(row.measured, *sizes[row.measured], flush=True)
    PAGE.write_text(page(table, sizes))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
