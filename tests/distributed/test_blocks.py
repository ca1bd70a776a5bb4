"""Rows and columns as Arrow blocks."""

import numpy as np
import pyarrow as pa
import pytest

from raydet.distributed.blocks import block_of, columns_in, item_of, row_in


def test_row_comes_back_from_its_item():
    row = {"number": 3, "draws": np.arange(6, dtype=np.uint64).reshape(3, 2)}
    back = row_in(pa.table({name: [value] for name, value in item_of(row).items()}))
    assert back["number"] == 3
    np.testing.assert_array_equal(back["draws"], row["draws"])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_columns_come_back_with_their_types_and_nothing_is_copied(dtype):
    values = np.arange(1000).astype(dtype)
    block = block_of({"payload": values, "nothing": np.zeros(0, dtype)})
    assert block.num_rows == 1
    columns = columns_in(block)
    assert columns["payload"].dtype == dtype
    np.testing.assert_array_equal(columns["payload"], values)
    assert np.shares_memory(columns["payload"], values)
    assert len(columns["nothing"]) == 0
