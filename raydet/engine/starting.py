"""What a run starts from: nothing, weights, or the checkpoint of an interrupted run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from torch import nn

from raydet.checkpoint import CheckpointError, load, load_checkpoint
from raydet.checkpoint.shards import is_sharded, read_rest, verify_checkpoint
from raydet.checkpoint.sources import local_copy, shown
from raydet.checkpoint.store import checkpoints_in_store
from raydet.config import Config
from raydet.engine.environment import Environment, checkpoints_in
from raydet.engine.hooks.folders import folder_below, is_remote


@dataclass
class Start:
    """Where a run begins.

    Attributes:
        checkpoint: of the run to go on with, read.
        source: its file.
        load_from: weights to begin with.
    """

    checkpoint: dict[str, Any] | None = None
    source: str = ""
    load_from: str | None = None

    def __post_init__(self) -> None:
        meta = (self.checkpoint or {}).get("meta") or {}
        seed = meta.get("seed")
        self.seed: int | None = seed if isinstance(seed, int) else None


def find_start(cfg: Config, environment: Environment, logger: Any) -> Start:
    """What the environment goes on from, else `resume_from`, else with `auto_resume` the newest checkpoint of the run.

    Raises:
        FileNotFoundError: `resume_from` or `load_from` names no file.
        ValueError: `resume_from` names something that is not the checkpoint of a run.
        CheckpointError: none of the checkpoints to go on from can be read.
    """
    latest = environment.latest_checkpoint()
    if latest is not None:
        return _newest_readable(chain([latest], environment.earlier_checkpoints()), logger)
    if cfg.get("resume_from"):
        return Start(_read_run(cfg["resume_from"]), shown(cfg["resume_from"]))
    found = _left_behind(cfg, environment.work_dir) if cfg.get("auto_resume") else []
    return _newest_readable(found, logger) if found else Start(load_from=cfg.get("load_from"))


def load_weights(model: nn.Module, load_from: str | None, logger: Any) -> None:
    """Load `load_from` as far as it fits; RuntimeError when nothing does."""
    if not load_from:
        return
    load_checkpoint(model, load_from, map_location="cpu", strict=False, logger=logger)
    logger.info(f"loaded weights from {load_from}")


def _left_behind(cfg: Config, work_dir: Path) -> Sequence[str | Path]:
    """Checkpoints in the work dir, else those that were sent to a remote folder, the newest first."""
    folder = folder_below((cfg.get("checkpoint_config") or {}).get("out_dir"), work_dir)
    return checkpoints_in(work_dir) or (checkpoints_in_store(folder) if is_remote(folder) else [])


def _newest_readable(paths: Iterable[str | Path], logger: Any) -> Start:
    """The first file that can be read; a broken one is said and passed over."""
    broken = []
    for path in paths:
        try:
            return Start(_read_run(path), shown(path))
        except (CheckpointError, OSError) as error:
            logger.warning(f"passing over a checkpoint that cannot be read: {error}")
            broken.append(shown(path))
    raise CheckpointError(
        f"none of the checkpoints of the run can be read ({', '.join(broken)}); remove them to start anew"
    )


def _read_run(path: str | Path) -> dict[str, Any]:
    with local_copy(path) as file:
        try:
            verify_checkpoint(file)
            checkpoint = _open(file)
        except CheckpointError as error:
            raise type(error)(str(error).replace(str(file), shown(path))) from error
    if (
        not isinstance(checkpoint, dict)
        or not {"state_dict", "shards"} & checkpoint.keys()
        or "epoch" not in (checkpoint.get("meta") or {})
    ):
        raise ValueError(
            f"{shown(path)} is not the checkpoint of a run (no epoch in its meta); use load_from to begin with its "
            "weights"
        )
    return checkpoint


def _open(file: Path) -> Any:
    """What a checkpoint holds; of one in shards only what is no tensor, and where the rest is."""
    return {**read_rest(file), "shards": str(file)} if is_sharded(file) else load(file, map_location="cpu")
