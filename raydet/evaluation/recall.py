"""Recall of proposals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raydet.evaluation.iou import np_bbox_overlaps
from raydet.evaluation.report import Logger, say, text_table


def eval_recalls(
    gts: Sequence[np.ndarray | None],
    proposals: Sequence[np.ndarray],
    proposal_nums: int | Sequence[int] | None = None,
    iou_thrs: float | Sequence[float] | np.ndarray | None = 0.5,
    logger: Logger = None,
    use_legacy_coordinate: bool = False,
) -> np.ndarray:
    """How many ground truths the best proposals of each image cover.

    Args:
        gts: `(G, 4)` xyxy per image; None or empty for an image without objects.
        proposals: `(R, 4)` in order, or `(R, 5)` with scores to order by, per image.
        proposal_nums: how many proposals of an image count, ascending.
        iou_thrs: overlaps from which a ground truth is covered.
        logger: where the table goes.
        use_legacy_coordinate: see `np_bbox_overlaps`.

    Returns:
        Recalls, `(len(proposal_nums), len(iou_thrs))`.

    Raises:
        ValueError: ground truths and proposals are of different numbers of images, or `proposal_nums` is missing.
    """
    if len(gts) != len(proposals):
        raise ValueError(f"ground truths of {len(gts)} images but proposals of {len(proposals)}")
    if proposal_nums is None:
        raise ValueError("proposal_nums is needed: how many proposals per image count, such as (100, 300, 1000)")
    nums = np.atleast_1d(np.asarray(proposal_nums, dtype=int))
    thresholds = np.atleast_1d(np.asarray(0.5 if iou_thrs is None else iou_thrs, dtype=np.float64))
    overlaps = [
        _overlaps(gt, proposal, int(nums[-1]), use_legacy_coordinate)
        for gt, proposal in zip(gts, proposals, strict=True)
    ]
    num_gts = sum(len(each) for each in overlaps)
    recalls = np.zeros((len(nums), len(thresholds)))
    for i, num in enumerate(nums):
        covered = np.concatenate([_best_overlaps(each[:, :num]) for each in overlaps] or [np.zeros(0)])
        hits = (covered[:, None] >= thresholds).sum(axis=0)
        recalls[i] = hits / num_gts if num_gts else np.nan
    print_recall_summary(recalls, nums, thresholds, logger=logger)
    return recalls


def _overlaps(gt: np.ndarray | None, proposals: np.ndarray, max_num: int, legacy: bool) -> np.ndarray:
    """`(G, R)` overlaps with the best `max_num` proposals, best first."""
    if gt is None or len(gt) == 0:
        return np.zeros((0, len(proposals)), dtype=np.float32)
    if proposals.ndim == 2 and proposals.shape[1] == 5:
        proposals = proposals[np.argsort(proposals[:, 4])[::-1]]
    return np_bbox_overlaps(gt, proposals[:max_num], use_legacy_coordinate=legacy)


def _best_overlaps(overlaps: np.ndarray) -> np.ndarray:
    """Overlaps of the pairs that greedy one-to-one matching takes, `(G,)`; below 0 or 0 for what is left over."""
    num_gts, num_proposals = overlaps.shape
    best = np.zeros(num_gts, dtype=np.float32)
    if num_proposals == 0:
        return best
    left = overlaps.copy()
    for i in range(num_gts):
        row, column = np.unravel_index(left.argmax(), left.shape)
        best[i] = left[row, column]
        left[row, :] = -1
        left[:, column] = -1
    return best


def print_recall_summary(
    recalls: np.ndarray,
    proposal_nums: Sequence[int] | np.ndarray,
    iou_thrs: Sequence[float] | np.ndarray,
    row_idxs: Sequence[int] | None = None,
    col_idxs: Sequence[int] | None = None,
    logger: Logger = None,
) -> None:
    """Print recalls as a table of numbers of proposals against thresholds.

    Args:
        recalls: `(len(proposal_nums), len(iou_thrs))`.
        proposal_nums: names of the rows.
        iou_thrs: names of the columns.
        row_idxs: rows to print; all when left out.
        col_idxs: columns to print; all when left out.
        logger: where the table goes.
    """
    rows = range(len(proposal_nums)) if row_idxs is None else row_idxs
    columns = range(len(iou_thrs)) if col_idxs is None else col_idxs
    header = ["", *(f"{iou_thrs[j]:g}" for j in columns)]
    table = [[proposal_nums[i], *(f"{recalls[i, j]:.3f}" for j in columns)] for i in rows]
    say("\n" + text_table(header, table), logger)
