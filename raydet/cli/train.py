"""`raydet train`: train the detector of a config."""

from __future__ import annotations

import argparse
from typing import Any

from raydet.cli.options import add_cluster, add_config, cluster_options, load_config, told

EXAMPLES = """examples:
  raydet train retinanet_r50_fpn_1x_coco --num-workers 2
  raydet train my_config.py --num-workers 8 --use-gpu --storage s3://bucket/runs --name first
  raydet train my_config.py --name first --resume
  raydet train my_config.py --num-workers 2:8 --resources-per-worker CPU=4,GPU=1 --data-on pool=data --dry-run
  raydet train my_config.py --local --work-dir runs/try --cfg-options runner.max_epochs=1
  raydet submit my_config.py --num-workers 8 --use-gpu --storage s3://bucket/runs"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config(parser)
    where = add_cluster(parser, num_workers=1)
    where.add_argument("--local", action="store_true", help="train in this process, without Ray")
    where.add_argument("--interface", metavar="NAME", help="network interface that carries gradients, such as eth0")
    where.add_argument("--dry-run", action="store_true", help="check the config, say what would run where, and end")
    where.add_argument("--max-failures", type=int, metavar="N", help="restarts after lost workers; -1 for no limit (3)")
    folder = parser.add_argument_group("what it writes, and what it goes on from")
    folder.add_argument("--work-dir", metavar="DIR", help="run folder; a new one in work_dirs/ if left out")
    folder.add_argument("--storage", metavar="URI", help="folder of all runs, such as s3://bucket/runs")
    folder.add_argument("--name", metavar="NAME", help="run folder inside --storage")
    folder.add_argument("--resume", "--auto-resume", action="store_true", help="go on from the run's newest checkpoint")
    folder.add_argument("--resume-from", metavar="FILE", help="go on from this checkpoint, in a new run")
    how = parser.add_argument_group("how it trains")
    how.add_argument("--seed", type=int, metavar="N", help="of all random draws")
    how.add_argument("--diff-seed", action="store_true", help="add the rank of each process to its seed")
    how.add_argument("--deterministic", action="store_true", help="use deterministic operations only; slower")
    how.add_argument("--no-validate", action="store_true", help="do not evaluate during training")
    how.add_argument("--auto-scale-lr", action="store_true", help="scale the learning rate with the batch size")


def run(args: argparse.Namespace) -> int:
    """Train, then say what came out and what can be done with it."""
    cfg = load_config(args)
    apply_arguments(cfg, args)
    named = args.storage is not None or args.name is not None
    result = launch(
        cfg,
        storage=args.storage,
        name=args.name,
        work_dir=args.work_dir or (None if named else cfg.get("work_dir")),
        resume=args.resume,
        max_failures=args.max_failures,
        local=args.local,
        dry_run=args.dry_run,
        **cluster_options(args),
    )
    if args.dry_run:
        return 0
    print(f"run folder: {result.folder}")
    if result.metrics:
        print("last evaluation: " + format_metrics(result.metrics))
    if result.checkpoint is not None:
        print(f"next: raydet test {args.config} {result.folder}")
        print(f"      raydet infer IMAGE --run {result.folder} --out drawn/")
    return 0


def launch(cfg: Any, **options: Any) -> Any:
    """`raydet.train`, whose failures are told without a traceback.

    Raises:
        RunFailed: the run failed although it was asked for rightly.
    """
    from raydet.distributed import train

    with told():
        return train(cfg, **options)


def apply_arguments(cfg: Any, args: argparse.Namespace) -> None:
    """Write what the arguments say about training into the config."""
    if args.seed is not None:
        cfg["seed"] = args.seed
    if args.diff_seed:
        cfg["diff_seed"] = True
    if args.deterministic:
        cfg["deterministic"] = True
    if args.resume_from is not None:
        cfg["resume_from"] = args.resume_from
    if args.interface is not None:
        cfg["network"] = {**(cfg.get("network") or {}), "interface": args.interface}
    if args.no_validate and "evaluation" in cfg:
        del cfg["evaluation"]
    if args.auto_scale_lr:
        cfg.merge_from_dict({"auto_scale_lr.enable": True})


def format_metrics(metrics: dict[str, Any]) -> str:
    """The numbers of an evaluation on one line, without those that could not be measured (-1)."""
    numbers = {name: value for name, value in metrics.items() if isinstance(value, (int, float)) and value >= 0}
    return ", ".join(f"{name} {value:.4f}" for name, value in numbers.items())
