"""A program that trains on a cluster of its own; its parent hurts it."""

import json
import sys
from pathlib import Path

from raydet.config import Config
from raydet.distributed import train

if __name__ == "__main__":
    folder, resume, workers = sys.argv[1:]
    cfg = Config.fromfile(str(Path(folder, "case.py")))
    options = {"carrier": "torch", "storage": folder, "name": "run", "address": "local"}
    result = train(cfg, resume=resume == "resume", num_workers=int(workers), **options)
    Path(folder, "result.json").write_text(json.dumps(str(result.checkpoint)))
