"""The command of the Slurm test: says what Ray it finds, then waits to be told to end if it is asked to."""

import signal
import sys
import time
from pathlib import Path

import ray


def nodes():
    end = time.monotonic() + 120
    while sum(node["Alive"] for node in ray.nodes()) < 2 and time.monotonic() < end:
        time.sleep(0.5)
    return sum(node["Alive"] for node in ray.nodes())


if __name__ == "__main__":
    folder, *options = sys.argv[1:]
    ray.init(log_to_driver=False)
    if "--wait" in options:
        asked = []
        signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
        Path(folder, "ready").touch()
        end = time.monotonic() + 120
        while not asked and time.monotonic() < end:
            time.sleep(0.1)
        Path(folder, "checkpoint").touch()
        sys.exit(0 if asked else 3)
    print(f"nodes {nodes()} cpus {ray.cluster_resources()['CPU']:g} options {' '.join(options)}")
