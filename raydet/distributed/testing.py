"""`raydet.distributed.test`: test a detector on a Ray cluster, each worker on its share of the images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from raydet.config import Config, ensure_valid
from raydet.distributed.cluster import Connection, connected
from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.launch import Launch
from raydet.distributed.monitor import Monitor, Startup
from raydet.distributed.request import Request, num_threads, prepare
from raydet.distributed.storage import open_run_folder, unique_name


def evaluate_on_cluster(
    cfg: Config | str | Path,
    checkpoint: str | Path | None,
    *,
    num_workers: int = 1,
    use_gpu: bool | None = None,
    resources_per_worker: Mapping[str, float] | None = None,
    work_dir: str | Path | None = None,
    eval_metrics: str | Sequence[str] | None = None,
    eval_options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    format_only: bool = False,
    split: str = "test",
    max_failures: int | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    carrier: str = "ray",
    data_label_selector: Mapping[str, str] | str | None = None,
    worker_label_selector: Mapping[str, str] | None = None,
    address: str | None = None,
    wait: float = 600.0,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Test a detector on a split of its data.

    COCO and LVIS are measured in shares: each worker matches what it found, and only that travels.

    Args:
        cfg: a config, or the path of its file.
        checkpoint: weights; None tests the model as it is initialised.
        num_workers: testing processes, each with one GPU where there are any.
        use_gpu: None uses GPUs when the cluster has some.
        resources_per_worker: Ray resources of a worker, such as `{"CPU": 4, "GPU": 1}`.
        work_dir: folder for results that all nodes see; the config's `work_dir`, else `work_dirs/<config>`.
        eval_metrics: such as "bbox" or ["bbox", "segm"]; the config's `evaluation.metric` when None.
        eval_options: more arguments of `dataset.evaluate` (with `format_only`, of `dataset.format_results`).
        out: file for the raw results, `.pkl`, `.json` or `.parquet`.
        format_only: write the files of a test server instead of computing metrics.
        split: "test" or "val".
        max_failures: new beginnings after lost workers; the config's `fault_tolerance.max_failures`, else 3.
        cfg_options: changes of the config, as `--cfg-options`.
        carrier: "ray" reads data with Ray Data, "torch" with a DataLoader in each worker.
        data_label_selector: nodes on which Ray Data reads, such as `{"pool": "data"}`; "worker" keeps each worker's
            data actors on its node.
        worker_label_selector: nodes on which workers test.
        address: a Ray cluster to join; see `raydet.distributed.cluster.connected`.
        wait: seconds to wait for a cluster that others use.
        say: prints the lines of the run.

    Returns:
        Metrics by name, also written to `<work_dir>/eval.json`.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: the config, an argument or the resources are impossible.
        TimeoutError: the cluster stayed busy.
        TrainingFailed: workers were lost more often than `max_failures`.
    """
    from raydet.engine.testing import work_dir_of

    cfg = prepare(cfg, cfg_options)
    request = Request(
        num_workers=num_workers,
        use_gpu=use_gpu,
        resources_per_worker=resources_per_worker,
        faults=FaultTolerance.of(cfg, max_failures=max_failures),
        carrier=carrier,
        data_label_selector=data_label_selector,
        worker_label_selector=worker_label_selector,
        wait=wait,
        say=say,
    )
    asked = {
        "checkpoint": _existing(checkpoint),
        "eval_metrics": eval_metrics,
        "eval_options": eval_options,
        "out": _absolute(out),
        "format_only": format_only,
        "split": split,
    }
    ensure_valid(cfg)
    with connected(address) as connection:
        return _test_on_ray(cfg, work_dir_of(cfg, work_dir).absolute(), request, asked, connection)


test = evaluate_on_cluster
"""The 2.x verb."""


def _test_on_ray(
    cfg: Config, work_dir: Path, request: Request, asked: dict[str, Any], connection: Connection
) -> dict[str, Any]:
    from raydet.distributed.worker import Job, test_worker

    plan = request.plan(cfg, asked["split"], connection.alone)
    request.say(f"test in {work_dir}: {plan}")
    # What Ray Train keeps of a test has a folder of its own: in that of a run, the test would go on from the run's end.
    folder = open_run_folder(None, None, stem="test", resume=False, work_dir=str(work_dir / unique_name("test")))
    launch = Launch(
        plan,
        folder,
        use_gpu="GPU" in plan.worker,
        faults=request.faults,
        label_selector=request.workers_on,
        alone=connection.alone,
        advice="Run the test again when the cause is gone",
    )
    try:
        with Monitor(Startup(), request.say, lines=connection.own) as monitor:
            job = Job(cfg, folder, request.pool(plan), num_threads(plan), monitor.box)
            arguments = {"job": job, "work_dir": work_dir, "test": asked}
            return dict(launch.run(test_worker, arguments, monitor))
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)


def _existing(checkpoint: str | Path | None) -> str | None:
    path = _absolute(checkpoint)
    if path is not None and "://" not in path and not Path(path).exists():
        raise FileNotFoundError(f"there is no checkpoint {path}; expected a file, a .shards folder or a URI")
    return path


def _absolute(path: str | Path | None) -> str | None:
    """The path as workers, which stand elsewhere, can open it; URIs stay as they are."""
    if path is None or "://" in str(path):
        return None if path is None else str(path)
    return os.path.abspath(Path(path).expanduser())
