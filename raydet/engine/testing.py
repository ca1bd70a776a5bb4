"""Running a detector over a data set: results in the order of the data set, files and metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from raydet.checkpoint import load_checkpoint
from raydet.config import Config, compat_cfg, ensure_valid, update_data_root
from raydet.datasets import Carrier, build_carrier, to_device
from raydet.engine.bad_samples import judge_bad_samples
from raydet.engine.data import MakeCarrier, carrier_for, evaluation_dataset
from raydet.engine.environment import Environment, LocalEnvironment, check_work_dir
from raydet.engine.hooks.rf_search import restore_rates, rfnext_init_model
from raydet.engine.logging import get_logger
from raydet.engine.parallel import unwrap
from raydet.engine.progress import Display
from raydet.engine.shares import collect_results, measure_shares, stays_in_shares
from raydet.evaluation.result_files import check_ending, check_results, read_results, write_results
from raydet.geometry import encode_mask_results

_OF_HOOK = frozenset(
    {"interval", "start", "by_epoch", "save_best", "keep_best", "rule", "dynamic_intervals", "greater_keys"}
    | {"less_keys", "out_dir", "separate", "file_client_args", "test_fn", "type", "priority", "tmpdir"}
    | {"gpu_collect", "broadcast_bn_buffer"}
)


def run_test(model: nn.Module, carrier: Carrier, environment: Environment) -> list[Any] | None:
    """Results of every sample of `carrier.dataset`; each rank computes its share.

    Args:
        model: the detector, wrapped or not.
        carrier: of a test split, in which rank r has each world_size-th sample.
        environment: where the run runs; every rank calls this.

    Returns:
        On rank 0 one 2.x result per sample in the order of the data set, masks as run-length codes; None elsewhere.

    Raises:
        RuntimeError: there are more or fewer results than samples.
    """
    return collect_results(predict_share(model, carrier, environment), carrier.dataset, environment)


@torch.no_grad()
def predict_share(model: nn.Module, carrier: Carrier, environment: Environment) -> list[Any]:
    """Results of the samples of this rank, see `run_test`.

    Raises:
        BadSampleError: more samples are bad than the quota allows, on all ranks together.
    """
    model = unwrap(model)
    model.eval()
    results: list[Any] = []
    world = environment.world_size
    samples = (len(carrier.dataset) - environment.rank + world - 1) // world
    display = Display(samples, "testing", get_logger(), shown=environment.rank == 0)
    try:
        for batch in carrier.iterate(0):
            found = model(return_loss=False, rescale=True, **to_device(batch, environment.device))
            results += [encode_masks(result) for result in found]
            display.advance(len(found))
    finally:
        display.close()
    judge_bad_samples(carrier, environment)
    return results


def encode_masks(result: Any) -> Any:
    """A result whose bitmaps are replaced by COCO run-length codes.

    Args:
        result: per-class boxes; or (boxes, masks); or (boxes, (masks, scores)); or a panoptic dict of such.
    """
    if isinstance(result, dict):
        return {key: encode_masks(value) if key == "ins_results" else value for key, value in result.items()}
    if not isinstance(result, tuple):
        return result
    boxes, masks = result
    return boxes, encode_mask_results(masks)


def evaluate_detector(
    cfg: Config | str | Path,
    checkpoint: str | Path | None,
    *,
    work_dir: str | Path | None = None,
    eval_metrics: str | Sequence[str] | None = None,
    eval_options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    format_only: bool = False,
    split: str = "test",
    device: str | None = None,
    environment: Environment | None = None,
    make_carrier: MakeCarrier = build_carrier,
) -> dict[str, Any]:
    """Test a detector on a split of its data.

    Args:
        cfg: config, or its file.
        checkpoint: weights; None tests the model as it is initialised.
        work_dir: folder for results; the config's `work_dir`, or `work_dirs/<config>`, when None.
        eval_metrics: such as "bbox" or ["bbox", "segm"]; the config's `evaluation.metric` when None.
        eval_options: more arguments of `dataset.evaluate` (with `format_only`, of `dataset.format_results`).
        out: file for the raw results: `.pkl` (lists and arrays), `.json` or `.parquet` (one row per detection).
        format_only: write the files of a test server instead of computing metrics.
        split: "test" or "val".
        device: such as "cuda:1"; the first GPU, else the CPU, when None.
        environment: where to run; this machine when None.
        make_carrier: brings the data.

    Returns:
        Metrics by name (rank 0), also written to `<work_dir>/eval.json`.

    Raises:
        ValueError: `out` has another ending, or the split is not in the config.
    """
    cfg = Config.fromfile(str(cfg)) if isinstance(cfg, (str, Path)) else cfg
    if out is not None:
        check_ending(out)
    cfg = _ready(cfg)
    environment = environment or LocalEnvironment(work_dir_of(cfg, work_dir), device)
    check_work_dir(environment.work_dir)
    logger = get_logger(log_level=cfg.get("log_level", "INFO"), rank=environment.rank)
    dataset = evaluation_dataset(cfg, split)
    model = _model_for_test(cfg, checkpoint, dataset).to(environment.device)
    carrier = carrier_for(cfg, dataset, split, environment, make_carrier, None)
    try:
        share = predict_share(model, carrier, environment)
    finally:
        carrier.close()
    options = _evaluation_options(cfg, eval_metrics, eval_options)
    if out is None and not format_only and stays_in_shares(dataset, environment, options):
        metrics = measure_shares(share, dataset, environment, logger, options)
    else:
        results = collect_results(share, dataset, environment)
        if results is not None and out is not None:
            write_results(results, out)
            logger.info(f"results written to {out}")
        if results is not None and format_only:
            format_results(dataset, results, environment.work_dir, eval_options, logger)
        metrics = None if results is None or format_only else dict(dataset.evaluate(results, logger=logger, **options))
    if metrics is None:
        return {}
    _write_json(metrics, environment.work_dir / "eval.json")
    return metrics


test = evaluate_detector
"""The 2.x verb."""


def evaluate_file(
    cfg: Config | str | Path,
    results_file: str | Path,
    *,
    eval_metrics: str | Sequence[str] | None = None,
    eval_options: Mapping[str, Any] | None = None,
    format_only: bool = False,
    split: str = "test",
) -> dict[str, Any]:
    """Measure results that a test wrote to a file.

    Args:
        cfg: config, or its file.
        results_file: see `raydet.evaluation.result_files.read_results`.
        eval_metrics: as for `evaluate_detector`.
        eval_options: as for `evaluate_detector`.
        format_only: write the files of a test server, beside the results, instead of computing metrics.
        split: "test" or "val", the one that the results are of.

    Returns:
        Metrics by name.

    Raises:
        ValueError: the file holds no results, or those of another data set.
    """
    cfg = _ready(Config.fromfile(str(cfg)) if isinstance(cfg, (str, Path)) else cfg)
    results = read_results(results_file)
    dataset = evaluation_dataset(cfg, split)
    check_results(results, dataset, results_file)
    if format_only:
        format_results(dataset, results, Path(results_file).parent, eval_options, get_logger())
        return {}
    return evaluate_results(cfg, dataset, results, eval_metrics, eval_options)


def format_results(
    dataset: Any, results: list[Any], folder: Path, options: Mapping[str, Any] | None, logger: Any
) -> None:
    """Write the files of a test server, to `folder` unless the options say where."""
    dataset.format_results(results, **{"jsonfile_prefix": str(folder / "results"), **(options or {})})
    logger.info(f"formatted results written to {folder}")


def _ready(cfg: Config) -> Config:
    """A checked config in the newest form of 2.x, with its data where `MMDET_DATASETS` says."""
    ensure_valid(cfg)
    cfg = compat_cfg(cfg)
    update_data_root(cfg)
    return cfg


def evaluate_results(
    cfg: Config,
    dataset: Any,
    results: list[Any],
    eval_metrics: str | Sequence[str] | None = None,
    eval_options: Mapping[str, Any] | None = None,
    logger: Any = None,
) -> dict[str, Any]:
    """`dataset.evaluate` with the options of `cfg.evaluation`."""
    return dict(dataset.evaluate(results, logger=logger, **_evaluation_options(cfg, eval_metrics, eval_options)))


def _evaluation_options(
    cfg: Config, eval_metrics: str | Sequence[str] | None, eval_options: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What `dataset.evaluate` is called with: `cfg.evaluation` without the options of its hook, and what was asked."""
    options = {key: value for key, value in (cfg.get("evaluation") or {}).items() if key not in _OF_HOOK}
    if eval_metrics is not None:
        options["metric"] = eval_metrics if isinstance(eval_metrics, str) else list(eval_metrics)
    return {**options, **(eval_options or {})}


def _write_json(value: Any, path: Path) -> None:
    path.write_text(json.dumps(value, default=_as_json), encoding="utf-8")


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be written as json")


def work_dir_of(cfg: Config, work_dir: str | Path | None) -> Path:
    """The folder for the results of a test: `work_dir`, else the config's, else one named like the config."""
    name = Path(cfg.filename).stem if cfg.filename else "test"
    return Path(work_dir or cfg.get("work_dir") or Path("work_dirs", name))


def _model_for_test(cfg: Config, checkpoint: str | Path | None, dataset: Any) -> nn.Module:
    from raydet.models import build_detector

    model: Any = build_detector(without_pretraining(cfg["model"]))
    rfnext_init_model(model, cfg)
    loaded = load_checkpoint(model, checkpoint, map_location="cpu") if checkpoint else model.init_weights()
    meta = (loaded or {}).get("meta") or {}
    restore_rates(model, meta)
    model.CLASSES = meta.get("CLASSES") or dataset.CLASSES
    return model  # type: ignore[no-any-return]


def without_pretraining(model: Mapping[str, Any]) -> Any:
    """The model dict without the weights it would begin training with."""
    plain = model.copy() if hasattr(model, "copy") else dict(model)
    if "pretrained" in plain:
        plain["pretrained"] = None
    backbone = plain.get("backbone")
    if isinstance(backbone, Mapping) and "init_cfg" in backbone:
        plain["backbone"] = {**backbone, "init_cfg": None}
    return plain
