"""Files to hand on: in another format, without what only their own run needs, or upgraded from older ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from raydet.checkpoint import conversions
from raydet.checkpoint.checksum import digest_of, remove_checkpoint, sidecar_of, write_sidecar
from raydet.checkpoint.read import read_state_dict
from raydet.checkpoint.safe import load
from raydet.checkpoint.safetensors import SUFFIX, save_safetensors
from raydet.checkpoint.save import plain, write_checkpoint
from raydet.checkpoint.sources import locate, shown

SUFFIXES = (".pth", ".pt", SUFFIX)
_RESUME = "raydet"  # what only a run that goes on needs
_LOCAL = (_RESUME, "hook_msgs")  # paths on the machine of the run, too
_AVERAGE = "ema_"
_BACKBONES: dict[str, Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]] = {
    "pycls": conversions.convert_pycls_regnet,
    "moco": conversions.convert_moco,
    "swav": conversions.convert_swav,
}
UPGRADES = ("mmdet1", "ssd", "detectron", *_BACKBONES)


def write_as(checkpoint: Mapping[str, Any], path: Path) -> list[str]:
    """Write a checkpoint in the format that the ending of `path` names, and say what that format cannot hold.

    Raises:
        ValueError: another ending than `.pth`, `.pt` and `.safetensors`.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} ends with {path.suffix!r}, expected one of {', '.join(SUFFIXES)}")
    if path.suffix != SUFFIX:
        write_checkpoint(checkpoint, path)
        return []
    meta = plain(checkpoint["meta"])
    kept = {key: value for key, value in meta.items() if _fits_json(value)}
    sidecar_of(path).unlink(missing_ok=True)
    save_safetensors(checkpoint["state_dict"], path, kept)
    write_sidecar(path, digest_of(path))
    return [
        *(key for key in checkpoint if key not in ("meta", "state_dict")),
        *(f"meta.{key}" for key in meta if key not in kept),
    ]


def read_whole(source: str | Path) -> dict[str, Any]:
    """A checkpoint with `meta` and `state_dict`, whatever it is called in the file.

    Raises:
        CheckpointError: the file is damaged, or holds no weights.
    """
    checkpoint = load(source)
    weights = read_state_dict(checkpoint, shown(source))
    rest = {key: value for key, value in checkpoint.items() if key == "optimizer"}
    meta = checkpoint.get("meta")
    return {"meta": dict(meta) if isinstance(meta, Mapping) else {}, "state_dict": weights, **rest}


def publish(source: str | Path, out: Path) -> tuple[Path, list[str]]:
    """Write the weights of a checkpoint for others, as `NAME-<first 8 digits of its sha256>.pth`.

    Optimiser, positions and paths of the run are left out. Of a run with averaged weights, the averages are written.

    Args:
        source: the checkpoint.
        out: file name without the digest.

    Returns:
        The file that was written, and what its format cannot hold.
    """
    checkpoint = read_whole(source)
    meta = {key: value for key, value in checkpoint["meta"].items() if key not in _LOCAL}
    temporary = out.with_name(f".{out.stem}.unnamed{out.suffix}")
    lost = write_as({"meta": meta, "state_dict": _final_weights(checkpoint)}, temporary)
    digest = digest_of(temporary)
    target = out.with_name(f"{out.stem}-{digest[:8]}{out.suffix}")
    temporary.replace(target)
    remove_checkpoint(temporary)
    write_sidecar(target, digest)
    return target, lost


def upgrade(kind: str, source: str | Path, num_classes: int | None = None) -> dict[str, Any]:
    """A checkpoint of an older version or of another project, with the keys of 2.x.

    Args:
        kind: one of `UPGRADES`: detectors of MMDetection 1.x, SSDs before 2.14, or backbones of other projects.
        source: the file, a pickle of arrays for Detectron.
        num_classes: of a detector of 1.x; those in its meta when None.

    Raises:
        ValueError: an unknown kind, or the number of classes is needed and not known.
        CheckpointError: the file is not of that kind.
    """
    if kind not in UPGRADES:
        raise ValueError(f"weights of kind {kind!r} are not known, expected one of {', '.join(UPGRADES)}")
    if kind == "detectron":
        return {"meta": {}, "state_dict": conversions.convert_detectron_resnet(conversions.read_blobs(locate(source)))}
    checkpoint = load(source)
    weights = read_state_dict(checkpoint, shown(source), revise_keys=())
    if kind in _BACKBONES:
        return {"meta": {}, "state_dict": _BACKBONES[kind](weights)}
    meta = dict(checkpoint.get("meta") or {})
    if kind == "ssd":
        return {"meta": meta, "state_dict": conversions.upgrade_ssd(weights)}
    count = num_classes or len(meta.get("CLASSES") or ())
    if count < 1:
        raise ValueError(f"{shown(source)} does not say how many classes it knows; give num_classes")
    return {"meta": meta, "state_dict": conversions.upgrade_1x(weights, count)}


def _final_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights without averages beside them; the averages in their place unless the run had exchanged them already."""
    weights = checkpoint["state_dict"]
    hooks = checkpoint["meta"].get(_RESUME, {}).get("hooks", {})
    trained = any(state.get("swapped") is False for state in hooks.values())
    names = [name for name in weights if not name.startswith(_AVERAGE)]
    averages = {name: f"{_AVERAGE}{name.replace('.', '_')}" for name in names}
    return {name: weights[averages[name] if trained and averages[name] in weights else name] for name in names}


def _fits_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
