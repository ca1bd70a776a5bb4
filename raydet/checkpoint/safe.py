"""Open a checkpoint without giving it a chance to run code."""

from __future__ import annotations

import argparse
import pickle
import re
from collections import OrderedDict
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

import numpy as np
import torch
from torch.serialization import safe_globals

from raydet.checkpoint.sources import local_copy, shown


class CheckpointError(ValueError):
    """A file that is no checkpoint, or a damaged one."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint that needs code which raydet does not let it call."""


class Record:
    """Stands for an object of a class that is not at hand, such as a log buffer; keeps its state, does nothing."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def allowed_globals() -> list[Any]:
    """What 2.x files hold besides tensors, as `(object, name in the file)`: numbers, arrays and plain records."""
    multiarray = getattr(np, "_core", None) or np.core
    names: list[Any] = [np.ndarray, np.dtype, argparse.Namespace]
    names += [type(np.dtype(code)) for code in "?bhilqBHILQefdgFDGSU"]
    for package in ("numpy.core", "numpy._core"):
        names += [
            (multiarray.multiarray.scalar, f"{package}.multiarray.scalar"),
            (multiarray.multiarray._reconstruct, f"{package}.multiarray._reconstruct"),
        ]
    names += [(PurePosixPath, "pathlib.PosixPath"), (PureWindowsPath, "pathlib.WindowsPath")]
    names += [
        (OrderedDict, name)
        for name in ("mmcv.utils.config.ConfigDict", "mmengine.config.config.ConfigDict", "addict.addict.Dict")
    ]
    names += [
        (Record, name)
        for name in (
            "mmcv.utils.config.Config",
            "mmengine.config.config.Config",
            "mmengine.logging.history_buffer.HistoryBuffer",
        )
    ]
    return names


def load(source: str | Path, map_location: Any = "cpu") -> Any:
    """Read a checkpoint: tensors, numbers, text and containers of them, and nothing else.

    Also `.safetensors` files, and folders of checkpoints in shards.

    Args:
        source: a file, or anything else that `raydet.checkpoint.locate` knows.
        map_location: where tensors go, as in `torch.load`.

    Raises:
        FileNotFoundError: there is no such file, and it could not be fetched.
        UnsafeCheckpointError: the file asks for a function or class that is not on the short list of harmless ones.
        CheckpointError: the file is truncated, damaged or something else.
    """
    with local_copy(source) as path:
        if path.is_dir():
            from raydet.checkpoint.shards import read_shards

            return read_shards(path)
        if path.suffix == ".safetensors":
            from raydet.checkpoint.safetensors import read_safetensors

            return read_safetensors(path, shown(source), map_location)
        with path.open("rb") as file:
            return read_safely(file, shown(source), map_location)


def read_safely(file: BinaryIO, name: str, map_location: Any = "cpu") -> Any:
    """What `load` does, for an open file; `name` is for messages."""
    try:
        with safe_globals(allowed_globals()):
            return torch.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(name, str(error)) from error
    except Exception as error:  # a damaged file fails in many ways inside the unpickler, and all mean the same
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{name} is not a readable checkpoint ({type(error).__name__}: {reason}); it may be truncated, damaged or "
            "another kind of file. Expected what torch.save writes: fetch or copy it again"
        ) from error


def _refusal(name: str, reason: str) -> CheckpointError:
    wanted = re.search(r"GLOBAL (\S+)", reason)
    if wanted is None:
        return CheckpointError(f"{name} is not a readable checkpoint: {reason.splitlines()[0]}")
    return UnsafeCheckpointError(
        f"{name} asks for {wanted[1]}, which raydet does not load: code in a checkpoint could do anything. Nothing was "
        "run. If you trust the file, open it where it was made and save dict(meta=..., state_dict=...) of plain values"
    )
