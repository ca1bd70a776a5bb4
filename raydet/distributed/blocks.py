"""What crosses between Ray Data and a data actor, as Arrow tables of one row.

Ray Data would make tensors of numpy columns, with types that are built, compared and pickled anew for every row; bytes
and plain lists cost it next to nothing and are read where they lie.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Columns = dict[str, npt.NDArray[Any]]
Row = dict[str, Any]

_ROW = "row"


def item_of(row: Row) -> dict[str, bytes]:
    """A row as an item for Ray Data."""
    return {_ROW: pickle.dumps(row)}


def row_in(block: pa.Table) -> Row:
    """The row whose item is in the block."""
    row: Row = pickle.loads(block.column(_ROW)[0].as_buffer())  # made by this program, `item_of`
    return row


def block_of(columns: Mapping[str, npt.NDArray[Any]]) -> pa.Table:
    """A block with the columns, one-dimensional arrays, which are not copied."""
    return pa.table({name: _as_list(values) for name, values in columns.items()})


def columns_in(block: pa.Table) -> Columns:
    """The arrays in a block, not to be written to; they keep its memory."""
    return {name: block.column(name).chunk(0).flatten().to_numpy() for name in block.column_names}


def _as_list(values: npt.NDArray[Any]) -> pa.LargeListArray:
    return pa.LargeListArray.from_arrays(np.array([0, len(values)]), pa.array(values))
