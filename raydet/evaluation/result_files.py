"""Files of raw results: pickles as in 2.x, JSON and Parquet as one flat table."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raydet.datasets.files import load_pickle
from raydet.evaluation.result_rows import Row, Table, flatten, rebuild

ENDINGS = (".pkl", ".pickle", ".json", ".parquet")
_KEY = b"raydet_results"
_NUMBERS = ("x1", "y1", "x2", "y2", "score", "mask_score")


def check_ending(path: str | Path) -> Path:
    """The path of a file of results; ValueError when its ending is none of `ENDINGS`."""
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ValueError(f"a file of results ends with .pkl, .json or .parquet, got {str(path)!r}")
    return path


def write_results(results: list[Any], path: str | Path) -> None:
    """Write 2.x results, one per image.

    Args:
        results: boxes by class, (boxes, masks), proposals, or panoptic dicts.
        path: `.pkl` keeps the lists and arrays as they are; `.json` and `.parquet` hold one row per detection, see
            `raydet.evaluation.result_rows`.
    """
    path = check_ending(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".pkl", ".pickle"):
        path.write_bytes(pickle.dumps(results, protocol=4))
    elif path.suffix == ".json":
        table = flatten(results)
        path.write_text(json.dumps({**table.header(), "rows": table.rows}), encoding="utf-8")
    else:
        _write_parquet(flatten(results), path)


def read_results(path: str | Path) -> list[Any]:
    """Read what `write_results`, or `tools/test.py --out` of 2.x, wrote. Pickles are opened without running code.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    path = check_ending(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of results {path}; `raydet test ... --out {path}` writes one")
    results = load_pickle(str(path)) if path.suffix in (".pkl", ".pickle") else rebuild(_read_table(path))
    if not isinstance(results, list):
        raise ValueError(f"{path} holds a {type(results).__name__}, expected a list with the result of each image")
    return results


def _read_table(path: Path) -> Table:
    try:
        if path.suffix == ".parquet":
            return _read_parquet(path)
        content = json.loads(path.read_text(encoding="utf-8"))
        return Table.of(content, content["rows"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file of results that raydet wrote ({type(error).__name__}: {error})") from None


def _write_parquet(table: Table, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    integers = {key: pa.array([row[key] for row in table.rows], pa.int32()) for key in ("image", "label")}
    numbers = zip(*map(_numbers, table.rows), strict=True) if table.rows else [[]] * len(_NUMBERS)
    masks = [row.get("segmentation") or {} for row in table.rows]
    columns = {
        "part": pa.array([row["part"] for row in table.rows], pa.string()).dictionary_encode(),
        **integers,
        **{name: pa.array(values, pa.float32()) for name, values in zip(_NUMBERS, numbers, strict=True)},
        "mask_size": pa.array([mask.get("size") for mask in masks], pa.list_(pa.int32())),
        "mask_rle": pa.array([mask.get("counts") for mask in masks], pa.string()),
    }
    content = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(table.header())})
    parquet.write_table(content, path, compression="zstd")


def _numbers(row: Row) -> list[float | None]:
    return [*(row.get("bbox") or [None] * 4), row.get("score"), row.get("mask_score")]


def _read_parquet(path: Path) -> Table:
    from pyarrow import parquet

    content = parquet.read_table(path)
    return Table.of(json.loads((content.schema.metadata or {})[_KEY]), [_row_of(each) for each in content.to_pylist()])


def _row_of(columns: Mapping[str, Any]) -> Row:
    row: Row = {key: columns[key] for key in ("part", "image", "label", "score", "mask_score")}
    row["bbox"] = [columns[key] for key in _NUMBERS[:4]]
    row["segmentation"] = {"size": columns["mask_size"], "counts": columns["mask_rle"]}
    return row


def check_results(results: Sequence[Any], dataset: Any, path: str | Path) -> None:
    """ValueError unless there is one result for each image of the data set."""
    if len(results) != len(dataset):
        raise ValueError(
            f"{path} holds {len(results)} results, the data set has {len(dataset)} images; they belong together only "
            "if it was written for the same split of the same config"
        )
