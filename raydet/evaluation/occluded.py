"""Recall of occluded and of separated objects (arXiv:2210.10046)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pycocotools import mask as rle_tools

from raydet.evaluation.coco import evaluate_coco
from raydet.evaluation.report import Logger, say, text_table
from raydet.structures.masks import encode_bitmaps

Found = Mapping[tuple[str, str], list[Any]]
"""Masks (RLE) by image file and class name."""


def evaluate_occluded_separated(
    dataset: Any,
    results: Sequence[Any],
    metric: str | Sequence[str] = (),
    score_thr: float = 0.3,
    iou_thr: float = 0.75,
    logger: Logger = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluate the masks of a whole data set.

    Args:
        dataset: an `OccludedSeparatedCocoDataset`.
        results: per image (boxes by class, masks by class), masks as RLE or bitmaps.
        metric: COCO metrics to compute besides.
        score_thr: detections count that score at least this.
        iou_thr: an object is found by a mask of its class that overlaps so much at least.
        logger: where tables go.
        options: more arguments of `evaluate_coco`.

    Returns:
        `occluded_recall` and `separated_recall` in percent, and the COCO metrics.

    Raises:
        KeyError: the results have no masks.
    """
    scores = evaluate_coco(dataset, results, metric, logger=logger, **options)
    if len(results) and not isinstance(results[0], tuple):
        raise KeyError(f"occluded and separated recall need masks, a pair (boxes, masks); got {type(results[0])}")
    found = _masks_above(dataset, results, score_thr)
    rows = []
    for kind, objects in (("occluded", dataset.occluded_ann), ("separated", dataset.separated_ann)):
        hits = sum(_is_found(each, found, iou_thr) for each in objects)
        scores[f"{kind}_recall"] = 100 * hits / len(objects) if objects else 0.0
        rows.append([kind, f"{scores[f'{kind}_recall']:.2f}%", hits])
    say("\n" + text_table(["mask type", "recall", "num correct"], rows), logger)
    return scores


def _masks_above(dataset: Any, results: Sequence[Any], score_thr: float) -> Found:
    found: dict[tuple[str, str], list[Any]] = {}
    for info, (boxes, masks) in zip(dataset.data_infos, results, strict=True):
        masks = masks[0] if isinstance(masks, tuple) else masks
        for name, dets, of_class in zip(dataset.CLASSES, boxes, masks, strict=True):
            chosen = [_as_rle(mask) for det, mask in zip(dets, of_class, strict=True) if det[4] >= score_thr]
            found[info["filename"], name] = chosen
    return found


def _is_found(item: Sequence[Any], found: Found, iou_thr: float) -> bool:
    file, name, _, _, mask = item
    masks = found.get((file, name), [])
    return bool(masks) and bool((rle_tools.iou(masks, [_as_rle(mask)], [0]) >= iou_thr).any())


def _as_rle(mask: Any) -> dict[str, Any]:
    if not isinstance(mask, Mapping):
        return encode_bitmaps([mask])[0]
    counts = mask["counts"]
    return {**mask, "counts": counts.encode() if isinstance(counts, str) else counts}
