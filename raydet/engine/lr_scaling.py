"""Scaling the learning rate with the batch size (arXiv:1706.02677)."""

from __future__ import annotations

from typing import Any


def auto_scale_lr(cfg: Any, distributed: bool, logger: Any, *, world_size: int | None = None) -> None:
    """Multiply `cfg.optimizer.lr` by the batch size of this run over `cfg.auto_scale_lr.base_batch_size`, in place.

    Does nothing unless `cfg.auto_scale_lr.enable` is true.

    Args:
        cfg: whole config.
        distributed: whether several processes train.
        logger: is told what was done.
        world_size: number of processes; from torch.distributed or `cfg.gpu_ids` when None.
    """
    section = cfg.get("auto_scale_lr") or {}
    if not section.get("enable", False):
        logger.info("Automatic scaling of learning rate (LR) has been disabled.")
        return
    base = section.get("base_batch_size")
    if base is None:
        raise ValueError("auto_scale_lr.enable is true, but auto_scale_lr.base_batch_size is not set")
    processes = world_size if world_size is not None else _processes(cfg, distributed)
    data = cfg["data"]
    samples = data.get("train_dataloader", {}).get("samples_per_gpu", data.get("samples_per_gpu", 2))
    batch = processes * samples
    logger.info(f"{processes} process(es) with {samples} samples each train with a batch size of {batch}")
    if batch == base:
        logger.info(f"the batch size is the base batch size {base}, so the LR ({cfg['optimizer']['lr']}) stays")
        return
    scaled = batch / base * cfg["optimizer"]["lr"]
    logger.info(f"LR has been automatically scaled from {cfg['optimizer']['lr']} to {scaled}")
    cfg["optimizer"]["lr"] = scaled


def _processes(cfg: Any, distributed: bool) -> int:
    if not distributed:
        return len(cfg.get("gpu_ids") or [0])
    import torch.distributed as dist

    return dist.get_world_size() if dist.is_initialized() else len(cfg.get("gpu_ids") or [0])
