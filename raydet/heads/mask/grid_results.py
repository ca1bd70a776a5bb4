"""From what the cells of grids predict to the instances of an image (SOLO)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from raydet.geometry import mask_matrix_nms
from raydet.heads.mask.sizes import full_size
from raydet.heads.settings import Prediction
from raydet.structures import Detections, ImageMeta


def peaks(scores: Tensor) -> Tensor:
    """Scores `(N, K, g, g)` with 0 wherever a cell to the left, above or between them has more."""
    best = F.max_pool2d(scores, 2, stride=1, padding=1)[..., :-1, :-1]
    return scores * (best == scores)


def best_masks(
    masks: Tensor, labels: Tensor, scores: Tensor, meta: ImageMeta, rescale: bool, stride: int, config: Prediction
) -> Detections:
    """The best masks of one image after those that overlap were lowered, without boxes.

    Args:
        masks: `(M, h, w)` between 0 and 1, over the padded image.
        labels: `(M,)`.
        scores: `(M,)`.
        meta: of the image.
        rescale: masks are of the size of the original image.
        stride: pixels of the padded image per pixel of a mask.
        config: how masks are lowered and how many are kept.
    """
    options = {key: config.extra[key] for key in ("filter_thr", "kernel", "sigma") if key in config.extra}
    threshold = config.extra.get("mask_thr", 0.5)
    final, labels, _, index = mask_matrix_nms(
        masks > threshold, labels, scores, nms_pre=config.nms_pre, max_num=config.max_per_img, **options
    )
    size = meta.ori_shape[:2] if rescale else meta.img_shape[:2]
    padded = (masks.shape[1] * stride, masks.shape[2] * stride)
    shown = (meta.img_shape[0], meta.img_shape[1])
    full = full_size(masks[index], size, threshold, (padded, shown))
    return Detections(final.new_zeros(len(final), 4), final, labels, full)
