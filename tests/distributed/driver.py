"""A program that trains a run whose worker stops for ever in the middle; its parent kills it."""

import sys

from tiny import tiny_config

from raydet.distributed import train

if __name__ == "__main__":
    annotations, images, storage, marker = sys.argv[1:]
    cfg = tiny_config(
        annotations,
        images,
        custom_imports={"imports": ["kill_hook"], "allow_failed_imports": False},
        custom_hooks=[{"type": "StopForEver", "at": 18, "marker": marker}],
        checkpoint_config={"interval": 5, "by_epoch": False},
    )
    train(cfg, storage=storage, name="run", address="local")
