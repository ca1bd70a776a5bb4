from __future__ import annotations

import pickle

import numpy as np
import pytest
from pycocotools import mask as rle_tools

from raydet.evaluation import read_results, write_results

ENDINGS = ["pkl", "json", "parquet"]


def dets(*sizes: int) -> list[np.ndarray]:
    random = np.random.default_rng(sum(sizes))
    return [random.random((size, 5)).astype(np.float32) for size in sizes]


def masks(*sizes: int) -> list[list[dict]]:
    random = np.random.default_rng(1)
    return [
        [rle_tools.encode(np.asfortranarray(random.random((7, 9)) > 0.5, np.uint8)) for _ in range(n)] for n in sizes
    ]


RESULTS = {
    "boxes": [dets(2, 0, 1), dets(0, 0, 0)],
    "no boxes at all": [dets(0, 0), dets(0, 0)],
    "masks": [(dets(1, 2), masks(1, 2)), (dets(0, 0), masks(0, 0))],
    "rated masks": [(dets(1, 1), (masks(1, 1), [np.float32([0.5]), np.float32([0.25])]))],
    "proposals": [*dets(3), *dets(0)],
    "proposals without scores": [each[:, :4] for each in dets(3, 1)],
    "panoptic": [
        {"pan_results": np.array([[1003, 1003, 5], [2003, 7, 7]]), "ins_results": (dets(1, 0), masks(1, 0))},
        {"pan_results": np.full((2, 2), 8), "ins_results": (dets(0, 0), masks(0, 0))},
    ],
}


def same(a, b) -> bool:
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", RESULTS)
def test_results_come_back_as_they_were(tmp_path, name, ending) -> None:
    path = tmp_path / "deep" / f"results.{ending}"
    write_results(RESULTS[name], path)
    assert same(read_results(path), RESULTS[name])


@pytest.mark.parametrize("ending", ENDINGS)
def test_bitmaps_come_back_as_run_lengths(tmp_path, ending) -> None:
    bitmap = np.eye(4, dtype=bool)
    write_results([(dets(1), [[bitmap]])], tmp_path / f"r.{ending}")
    [(_, [[mask]])] = read_results(tmp_path / f"r.{ending}")
    decoded = mask if ending == "pkl" else rle_tools.decode(mask)
    np.testing.assert_array_equal(decoded, bitmap)


def test_parquet_has_one_row_per_detection(tmp_path) -> None:
    from pyarrow import parquet

    write_results(RESULTS["boxes"], tmp_path / "r.parquet")
    table = parquet.read_table(tmp_path / "r.parquet")
    assert table.num_rows == 3
    assert table["label"].to_pylist() == [0, 0, 2]
    assert {"image", "x1", "y1", "x2", "y2", "score"} <= set(table.column_names)


def test_pickle_that_would_run_code_is_refused(tmp_path) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps([eval]))
    with pytest.raises(ValueError, match=r"evil\.pkl.*builtins\.eval"):
        read_results(path)


@pytest.mark.parametrize(("name", "text"), [("a.json", "[1]"), ("b.json", "{"), ("c.parquet", "PAR"), ("d.json", "{}")])
def test_file_of_something_else_is_named(tmp_path, name, text) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=rf"{name} is no file of results"):
        read_results(tmp_path / name)


def test_unknown_ending_and_missing_file_say_what_to_do(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"ends with \.pkl, \.json or \.parquet"):
        write_results([], tmp_path / "r.txt")
    with pytest.raises(FileNotFoundError, match="raydet test"):
        read_results(tmp_path / "r.json")
