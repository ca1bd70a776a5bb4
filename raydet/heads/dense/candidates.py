"""The one decode of dense heads: from scores of all priors to a few candidates, and from those to detections."""

from __future__ import annotations

from typing import NamedTuple

import torch
from raydet_ops import batched_nms
from torch import Tensor

from raydet.heads.dense.layout import LevelLayout
from raydet.heads.settings import Prediction
from raydet.structures import Detections


class Candidates(NamedTuple):
    """`M` pairs of a prior and a class, level by level, best first within a level.

    Attributes:
        priors: `(M,)` index on the flat axis R.
        labels: `(M,)` int64.
        scores: `(M,)`.
    """

    priors: Tensor
    labels: Tensor
    scores: Tensor


def select_candidates(scores: Tensor, layout: LevelLayout, score_thr: float, nms_pre: int) -> Candidates:
    """The best (prior, class) pairs of one image.

    Args:
        scores: `(R, K)`.
        layout: of the axis R; every level has its own contingent.
        score_thr: pairs must score more.
        nms_pre: pairs kept per level, best first, ties as torch sorts them, which 2.x does; not positive keeps all.
    """
    parts = [
        _best_of_level(level, start, score_thr, nms_pre)
        for level, start in zip(layout.split(scores, 0), layout.starts, strict=True)
    ]
    return Candidates(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def best_priors(scores: Tensor, layout: LevelLayout, num: int) -> Tensor:
    """`(R,)` bool: the `num` priors of every level whose best class scores most, all when `num` is not positive.

    Args:
        scores: `(R, K)` of one image.
        layout: of the axis R.
        num: priors kept per level.
    """
    kept = torch.full((len(scores),), num <= 0, device=scores.device)
    for level, start in zip(layout.split(scores.amax(dim=1), 0), layout.starts, strict=True):
        kept[level.topk(min(max(num, 0), len(level))).indices + start] = True
    return kept


def _best_of_level(scores: Tensor, start: int, score_thr: float, nms_pre: int) -> Candidates:
    # Most priors have no class above the threshold: to look for them first halves the time.
    rows = (scores.amax(dim=1) > score_thr).nonzero().squeeze(1)
    row, labels = (scores[rows] > score_thr).nonzero(as_tuple=True)
    priors = rows[row]
    best, order = scores[priors, labels].sort(descending=True)
    if nms_pre > 0:
        best, order = best[:nms_pre], order[:nms_pre]
    return Candidates(priors[order] + start, labels[order], best)


def suppress(candidates: Detections, config: Prediction) -> Detections:
    """Non-maximum suppression within each class, best first, at most `max_per_img`."""
    if len(candidates) == 0:
        return candidates
    dets, keep = batched_nms(candidates.boxes, candidates.scores, candidates.labels, config.nms)
    if config.max_per_img > 0:
        dets, keep = dets[: config.max_per_img], keep[: config.max_per_img]
    return Detections(dets[:, :4], dets[:, 4], candidates.labels[keep])
