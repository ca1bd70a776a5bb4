"""A program that trains on labelled nodes and says where its parts worked.

With `--autoscaled`, the nodes come and go for the run.
"""

import sys
import time
from pathlib import Path

import ray
from tiny import tiny_config

from raydet.distributed import train

PLACES = {"data_label_selector": {"pool": "data"}, "worker_label_selector": {"pool": "train"}}


def config(annotations, images, folder):
    cfg = tiny_config(
        annotations,
        images,
        max_epochs=1,
        custom_imports={"imports": ["pool_parts"], "allow_failed_imports": False},
        custom_hooks=[{"type": "NotePoolHook", "folder": folder}],
    )
    cfg.data.train.pipeline = [{"type": "NotePool", "folder": folder}, *cfg.data.train.pipeline]
    return cfg


def count_nodes():
    return sum(node["Alive"] for node in ray.nodes())


def refused(cfg, storage, **options):
    """What a run hears that asks for more than there will ever be."""
    try:
        train(cfg, storage=storage, name="greedy", use_gpu=False, **options)
    except ValueError as error:
        return str(error).split(";")[0]
    return "nothing"


if __name__ == "__main__":
    annotations, images, folder, *options = sys.argv[1:]
    cfg = config(annotations, images, folder)
    storage = str(Path(folder, "runs"))
    ray.init(log_to_driver=False)
    print("nodes before", count_nodes())
    if "--autoscaled" in options:
        print("refused:", refused(cfg, storage, num_workers=9))
        result = train(cfg, num_workers=2, use_gpu=False, storage=storage, name="run")
    else:
        result = train(cfg, num_workers=1, use_gpu=False, storage=storage, name="run", **PLACES)
    print("nodes after", count_nodes())
    print("finished", result.checkpoint is not None, sorted(path.name for path in Path(folder).glob("*-*")))
    if "--autoscaled" in options:
        end = time.monotonic() + 120
        while count_nodes() > 1 and time.monotonic() < end:
            time.sleep(1)
        print("nodes at last", count_nodes())
