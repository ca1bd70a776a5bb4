"""Checkpoints in shards: a folder in which every process of a run has written its part of the tensors.

A folder `epoch_1.shards` holds `__0_0.distcp` and so on, the tensors as torch.distributed.checkpoint writes them;
`.metadata`, which says where each part of each tensor is; `run.pth` with all that is no tensor; and `SHA256SUMS` with
the digest of every file, which is written last and which `sha256sum -c` reads.
"""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raydet.checkpoint.checksum import check_sidecar, digest_of
from raydet.checkpoint.safe import CheckpointError, UnsafeCheckpointError, read_safely
from raydet.checkpoint.save import check_readable, plain, write_atomically

SUFFIX = ".shards"
MODEL, OPTIMIZER = "model.", "optimizer."
_SUMS, _RUN, _METADATA = "SHA256SUMS", "run.pth", ".metadata"
_DCP = "torch.distributed.checkpoint"
_HARMLESS = {
    f"{_DCP}.metadata": {
        "Metadata", "TensorStorageMetadata", "TensorProperties", "ChunkStorageMetadata", "MetadataIndex", "StorageMeta",
        "_MEM_FORMAT_ENCODING",
    },
    f"{_DCP}.filesystem": {"_StorageInfo"},
    "torch": {"Size", "device", *(name for name in dir(torch) if isinstance(getattr(torch, name), torch.dtype))},
    "torch.serialization": {"_get_layout"},
    "pathlib": {"PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"},
    "collections": {"OrderedDict"},
}  # fmt: skip


def is_sharded(source: str | Path) -> bool:
    """Whether a name is that of a checkpoint in shards."""
    return str(source).rstrip("/").endswith(SUFFIX)


def is_digest(path: Path) -> bool:
    """Whether a file of a checkpoint, whole or in shards, says what the others are."""
    return path.name == _SUMS or path.suffix == ".sha256"


def write_part(tensors: Mapping[str, Tensor], folder: Path, group: Any) -> dict[str, str]:
    """Write this process' part of `tensors`; every process of `group` calls it. Returns the digests of its files.

    Args:
        tensors: by name; those of several processes may be sharded, others are alike everywhere.
        folder: the same for all processes of a node; made when it does not exist.
        group: the processes, on a backend that carries objects.
    """
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp

    writer = dcp.FileSystemWriter(folder, single_file_per_rank=True, sync_files=True)
    dcp.save(dict(tensors), storage_writer=writer, process_group=group)
    rank = dist.get_rank(group)
    own = sorted(folder.glob(f"__{rank}_*.distcp")) + ([folder / _METADATA] if rank == 0 else [])
    return {path.name: digest_of(path) for path in own}


def part_of(path: Path, rank: int) -> list[Path]:
    """Files of a complete checkpoint that the process `rank` has written, that with the digests last."""
    if rank != 0:
        return sorted(path.glob(f"__{rank}_*.distcp"))
    return [*sorted(path.glob("__0_*.distcp")), path / _METADATA, path / _RUN, path / _SUMS]


def seal(folder: Path, rest: Mapping[str, Any], digests: Mapping[str, str]) -> None:
    """Complete a folder to which all parts have been written.

    Args:
        folder: still under its temporary name.
        rest: what is no tensor, with `meta`.
        digests: of all parts.

    Raises:
        TypeError: `meta` holds something that a safe load could not read back.
    """
    check_readable(rest["meta"])
    write_atomically(plain(rest), folder / _RUN)
    lines = [f"{digest}  {name}\n" for name, digest in {**digests, _RUN: digest_of(folder / _RUN)}.items()]
    with (folder / _SUMS).open("w", encoding="ascii") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def verify_checkpoint(path: Path) -> None:
    """Compare a checkpoint, whole or in shards, with the digests beside or in it.

    Raises:
        CheckpointError: a file is damaged, or one of the shards is missing.
    """
    if not is_sharded(path):
        check_sidecar(path)
        return
    if not (path / _SUMS).is_file():
        raise CheckpointError(f"{path} is not complete: it has no {_SUMS}")
    for line in (path / _SUMS).read_text(encoding="ascii").splitlines():
        digest, _, name = line.partition("  ")
        file = path / name
        if not file.is_file():
            raise CheckpointError(f"{path} is not complete: {name} is missing")
        if digest_of(file) != digest:
            raise CheckpointError(f"{file} is damaged: its sha256 is not that in {_SUMS}")


def read_rest(path: Path) -> dict[str, Any]:
    """What is no tensor in a checkpoint in shards."""
    with (path / _RUN).open("rb") as file:
        return dict(read_safely(file, str(path / _RUN)))


def tensor_shapes(path: Path) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Shape and type of each whole tensor in a checkpoint in shards."""
    found = _reader(path).read_metadata().state_dict_metadata
    return {name: (entry.size, entry.properties.dtype) for name, entry in found.items()}


def fill(tensors: Mapping[str, Tensor], path: Path, group: Any = None) -> None:
    """Read tensors from a checkpoint in shards, in place; each may be sharded over the processes of `group`.

    Args:
        tensors: by name.
        path: the folder.
        group: every process of it calls this; None for one process alone.
    """
    import torch.distributed.checkpoint as dcp

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        dcp.load(dict(tensors), storage_reader=_reader(path), process_group=group, no_dist=group is None)


def read_shards(path: Path) -> dict[str, Any]:
    """A checkpoint in shards as one of the usual layout, `{meta, state_dict, optimizer}`, on the CPU.

    Raises:
        CheckpointError: it is not complete, or damaged.
    """
    if not (path / _SUMS).is_file():
        raise CheckpointError(f"{path} is no complete checkpoint in shards: it has no {_SUMS}")
    tensors = {name: torch.empty(size, dtype=dtype) for name, (size, dtype) in tensor_shapes(path).items()}
    fill(tensors, path)
    rest = read_rest(path)
    state = OrderedDict((name, tensors[MODEL + name]) for name in rest.pop("keys"))
    checkpoint = {"meta": rest["meta"], "state_dict": state}
    if "optimizer" in rest:
        states: dict[int, dict[str, Any]] = {}
        for index, name in enumerate(rest["optimizer"]["names"]):
            prefix = f"{OPTIMIZER}{name}/"
            own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            states[index] = {**rest["optimizer"]["numbers"].get(name, {}), **own}
        checkpoint["optimizer"] = {"state": states, "param_groups": rest["optimizer"]["param_groups"]}
    return checkpoint


def _reader(path: Path) -> Any:
    """A reader of shards that unpickles nothing but positions and sizes, and tensors."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    class Reader(dcp.FileSystemReader):
        def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
            try:
                found = _Positions(io.BytesIO((path / _METADATA).read_bytes())).load()
            except UnsafeCheckpointError:
                raise
            except Exception as error:  # a damaged pickle fails in many ways
                raise CheckpointError(f"{path / _METADATA} cannot be read: {error}") from error
            others = [k for k, v in found.state_dict_metadata.items() if not isinstance(v, TensorStorageMetadata)]
            if others:  # torch would unpickle them
                raise UnsafeCheckpointError(f"{path} holds objects that are no tensors: {', '.join(others[:3])}")
            if found.storage_meta is None:
                found.storage_meta = dcp.metadata.StorageMeta()
            found.storage_meta.load_id = self.load_id
            return found

    return Reader(path)


class _Positions(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in _HARMLESS.get(module, ()):
            raise UnsafeCheckpointError(f"the checkpoint asks for {module}.{name}, which raydet does not load")
        return super().find_class(module, name)
