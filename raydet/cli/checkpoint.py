"""`raydet checkpoint`: look into checkpoints, and turn them into others."""

from __future__ import annotations

import argparse
import fnmatch
import json
from pathlib import Path
from typing import Any

from raydet.cli.run_folder import find_checkpoint

EXAMPLES = """examples:
  raydet checkpoint info work_dirs/my-run/latest.pth
  raydet checkpoint info latest.pth --keys 'backbone.layer1.*'
  raydet checkpoint convert latest.pth weights.safetensors
  raydet checkpoint publish work_dirs/my-run/latest.pth retinanet_trees.pth
  raydet checkpoint upgrade --from mmdet1 old.pth new.pth --num-classes 80
  raydet checkpoint upgrade --from detectron R-50.pkl resnet50_caffe.pth

FILE may be a run folder, for its best or newest checkpoint, or whatever load_from takes: paths,
http(s)://, s3://, torchvision://, open-mmlab://, timm://.
Code in files is never run. Next to each file that is written stands its sha256."""
_KINDS = {
    "mmdet1": "a detector of MMDetection 1.x",
    "ssd": "an SSD of MMDetection before 2.14",
    "detectron": "a ResNet of Detectron (.pkl)",
    "pycls": "a RegNet of pycls",
    "moco": "a ResNet of MoCo v2",
    "swav": "a ResNet of SwAV",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    info = actions.add_parser("info", help="say what a checkpoint holds, and whether it is damaged")
    info.add_argument("file", metavar="FILE", help="checkpoint")
    info.add_argument("--keys", nargs="?", const="*", metavar="PATTERN", help="also list the weights, or some of them")
    info.add_argument("--config", action="store_true", help="print the config of the run instead")
    info.add_argument("--json", action="store_true", help="print the facts as JSON")
    convert = actions.add_parser("convert", help="write a checkpoint as .pth or .safetensors, as the ending says")
    publish = actions.add_parser("publish", help="leave out what only the run needs; the name gets the digest")
    upgrade = actions.add_parser("upgrade", help="give weights of older versions and other projects the keys of 2.x")
    for action in (convert, publish, upgrade):
        action.add_argument("file", metavar="FILE", help="checkpoint")
        action.add_argument("out", metavar="OUT", help="new file, .pth or .safetensors")
    kinds = "; ".join(f"{kind}: {what}" for kind, what in _KINDS.items())
    upgrade.add_argument("--from", dest="kind", required=True, choices=list(_KINDS), help=kinds)
    upgrade.add_argument("--num-classes", type=int, metavar="K", help="of a detector of 1.x (those of the file)")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for, and say what was written."""
    if Path(args.file).is_dir():
        args.file = str(find_checkpoint(args.file))
    if args.action == "info":
        _info(args)
        return 0
    out = Path(args.out)
    _check_target(args.file, out)
    if args.action == "publish":
        from raydet.checkpoint.publish import publish

        out, lost = publish(args.file, out)
    else:
        from raydet.checkpoint.publish import read_whole, upgrade, write_as

        is_upgrade = args.action == "upgrade"
        checkpoint = upgrade(args.kind, args.file, args.num_classes) if is_upgrade else read_whole(args.file)
        lost = write_as(checkpoint, out)
    if lost:
        print(f"left out, as {out.suffix} holds weights and plain values only: {', '.join(lost)}")
    print(f"{out} ({out.stat().st_size / 2**20:.1f} MiB)")
    return 0


def _info(args: argparse.Namespace) -> None:
    from raydet.checkpoint.publish import read_whole
    from raydet.checkpoint.shards import verify_checkpoint
    from raydet.checkpoint.summary import summarize

    if Path(args.file).exists():
        verify_checkpoint(Path(args.file))
    checkpoint = read_whole(args.file)
    if args.config:
        print(checkpoint["meta"].get("config") or "the checkpoint holds no config")
        return
    facts = summarize(checkpoint)
    print(json.dumps(facts, indent=1, default=str) if args.json else "\n".join(map(_line, facts.items())))
    for name, value in checkpoint["state_dict"].items():
        if args.keys and fnmatch.fnmatchcase(name, args.keys):
            print(f"  {name}  {tuple(value.shape)}  {str(value.dtype).removeprefix('torch.')}")


def _line(fact: tuple[str, Any]) -> str:
    name, value = fact
    if isinstance(value, dict):
        value = ", ".join(f"{key} {number:,}" for key, number in value.items())
    elif isinstance(value, list):
        value = f"{len(value)} ({', '.join(map(str, value[:8]))}{', ...' if len(value) > 8 else ''})"
    elif isinstance(value, bool):
        value = "yes" if value else "no"
    elif isinstance(value, int) and name in ("parameters", "bytes"):
        value = f"{value:,}"
    return f"{name}: {'unknown' if value is None else value}"


def _check_target(source: str, out: Path) -> None:
    if Path(source).exists() and out.exists() and Path(source).samefile(out):
        raise ValueError(f"{out} is the file to read; choose another name, so that nothing is lost")
    if out.is_dir():
        raise ValueError(f"{out} is a folder; give a file name that ends with .pth or .safetensors")
