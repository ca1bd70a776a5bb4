"""What the tests run in Ray workers, which cannot import a test module."""

import os
import signal
import time

import numpy as np
import torch

from raydet.distributed.monitor import Reporter


class Counting:
    """Returns the number of its row, with ballast; fails at the number `bad`."""

    def __init__(self, size):
        self.size = size

    def __call__(self, row):
        if row["number"] == row["bad"]:
            raise ValueError(f"row {row['number']} is bad")
        return {"number": np.array([row["number"]]), "ballast": np.zeros(self.size, np.uint8)}


def count_to_four(job):
    """Counts steps, one checkpoint each; may kill itself or fail once."""
    from raydet.distributed.environment import RayEnvironment

    environment = RayEnvironment(job["folder"], find_unused_parameters=False, reporter=Reporter(job["box"]))
    model = environment.wrap_model(torch.nn.Linear(1, 1, bias=False))
    latest = environment.latest_checkpoint()
    step = torch.load(latest)["step"] if latest else 0
    started = step
    while step < 4:
        model(torch.ones(1, 1)).sum().backward()
        step += 1
        path = environment.work_dir / f"iter_{step}.pth"
        if environment.rank == 0:
            torch.save({"step": step}, path)
        environment.report({"step": step, "skipped": object()}, path if environment.rank == 0 else None)
        if job.get("kill") == (environment.rank, step) and not started:
            time.sleep(2)
            os.kill(os.getpid(), signal.SIGKILL)
        if job.get("mistake") == (environment.rank, step):
            raise KeyError("no such class: zebra")
    gathered = environment.gather((environment.rank, started))
    environment.close()
    return {"world": environment.world_size, "gathered": gathered, "step": step}


class Whereabouts:
    """Returns the node that it runs on."""

    def __call__(self, row):
        import ray

        node = ray.get_runtime_context().get_node_id()
        return {"node": np.frombuffer(node.encode(), np.uint8)}


class LeavesItsProcess:
    """A transform that leaves the number of its process in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, results):
        (self.folder / str(os.getpid())).touch()
        return results
