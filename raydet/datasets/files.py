"""Lists, JSON and pickles as 2.x data sets keep them. Pickles are opened without running anything they hold."""

from __future__ import annotations

import io
import os.path as osp
import pickle
from typing import Any

from raydet.datasets.coco_reader import read_json
from raydet.transforms.files import FileClientArgs, read_bytes, read_text

_ARRAYS = {"_reconstruct", "scalar", "_frombuffer"}
_HARMLESS = {
    ("builtins", "list"),
    ("builtins", "dict"),
    ("builtins", "tuple"),
    ("builtins", "set"),
    ("builtins", "bytearray"),
    ("builtins", "complex"),
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        numpy_array = module in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy._core.numeric")
        numpy_dtype = module == "numpy.dtypes" and name.endswith("DType")
        if (module, name) in _HARMLESS or (numpy_array and name in _ARRAYS) or numpy_dtype:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(
            f"it holds {module}.{name}; only containers, numbers and numpy arrays are accepted"
        )


def below(root: str | None, path: str) -> str:
    """A path that is relative to the folder `root`; absolute ones and URIs stay."""
    outside = root is None or osp.isabs(path) or "://" in path
    return path if outside else osp.join(str(root), path)


def load_pickle(path: str, file_client_args: FileClientArgs | None = None) -> Any:
    """Open a pickle of plain containers and numpy arrays.

    Raises:
        ValueError: it is broken, or holds anything else (which might run code).
    """
    try:
        return _Unpickler(io.BytesIO(read_bytes(path, file_client_args))).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
        raise ValueError(f"{path} cannot be opened as a pickle of annotations: {error}") from None


def load_records(path: str, file_client_args: FileClientArgs | None = None) -> Any:
    """The content of a `.json`, `.pkl` or `.pickle` file."""
    if path.endswith((".pkl", ".pickle")):
        return load_pickle(path, file_client_args)
    if path.endswith(".json"):
        return read_json(path, file_client_args)
    raise ValueError(f"{path}: expected a file that ends in .json, .pkl or .pickle")


def load_lines(path: str, file_client_args: FileClientArgs | None = None) -> list[str]:
    """The lines of a text file without their ends."""
    return read_text(path, file_client_args).splitlines()
