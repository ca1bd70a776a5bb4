"""Masks between boxes and images: targets, pasting, boxes, encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from raydet_ops.paste import stretch_weights
from torch import Tensor

from raydet.structures import Masks
from raydet.structures.masks import encode_bitmaps


def mask_target(
    pos_proposals_list: Sequence[Tensor],
    pos_assigned_gt_inds_list: Sequence[Tensor],
    gt_masks_list: Sequence[Masks],
    cfg: Mapping[str, Any],
) -> Tensor:
    """Masks inside positive proposals, for the loss of a mask head.

    Args:
        pos_proposals_list: per image `(P_i, 4)`.
        pos_assigned_gt_inds_list: per image `(P_i,)` which ground truth.
        gt_masks_list: per image `G_i` masks.
        cfg: `mask_size` `(h, w)` or one number, `soft_mask_target` for values between 0 and 1.

    Returns:
        `(P, h, w)` float, on the device of the proposals.
    """
    size = cfg["mask_size"]
    size = (size, size) if isinstance(size, int) else tuple(size)
    binarize = not cfg.get("soft_mask_target", False)
    per_image = zip(pos_proposals_list, pos_assigned_gt_inds_list, gt_masks_list, strict=True)
    return torch.cat([_mask_target(boxes, inds, masks, size, binarize) for boxes, inds, masks in per_image])


def _mask_target(boxes: Tensor, inds: Tensor, masks: Masks, size: tuple[int, int], binarize: bool) -> Tensor:
    if len(boxes) == 0:
        return boxes.new_zeros(0, *size)
    limits = boxes.new_tensor([masks.width, masks.height] * 2)
    clipped = torch.minimum(boxes.clamp(min=0), limits)
    return masks.crop_targets(clipped, inds, size, binarize)


def paste_masks(
    masks: Tensor, boxes: Tensor, img_h: int, img_w: int, skip_empty: bool = True
) -> tuple[Tensor, tuple[slice, ...]]:
    """Stretch masks to their boxes on the image, bilinearly.

    Stretching is linear along each axis, so it is two small matrix products per mask.

    Args:
        masks: `(D, 1, h, w)`.
        boxes: `(D, 4)` xyxy in pixels of the image.
        img_h: height of the image.
        img_w: width of the image.
        skip_empty: compute only the window that holds all boxes.

    Returns:
        `(D, window h, window w)` and where the window lies: slices of rows and columns, or () for the whole image.
    """
    left, top, right, bottom = 0, 0, img_w, img_h
    if skip_empty:
        left, top = (boxes[:, :2].amin(dim=0).floor() - 1).clamp(min=0).int().tolist()
        right = min(int(boxes[:, 2].max().ceil()) + 1, img_w)
        bottom = min(int(boxes[:, 3].max().ceil()) + 1, img_h)
    rows = stretch_weights(boxes[:, 1], boxes[:, 3], top, bottom, masks.shape[2])
    columns = stretch_weights(boxes[:, 0], boxes[:, 2], left, right, masks.shape[3])
    pasted = rows @ masks[:, 0].to(rows.dtype) @ columns.transpose(1, 2)
    return pasted, (slice(top, bottom), slice(left, right)) if skip_empty else ()


def mask2bbox(masks: Tensor) -> Tensor:
    """`(G, 4)` float32: the tightest box around each mask `(G, H, W)`, zeros for an empty one."""
    boxes = torch.zeros((len(masks), 4), dtype=torch.float32, device=masks.device)
    if masks.numel() == 0:
        return boxes
    occupied = masks.bool()
    for axis, offset in ((1, 0), (2, 1)):
        line = occupied.any(dim=axis).int()
        boxes[:, offset] = line.argmax(dim=1).float()
        boxes[:, offset + 2] = (line.shape[1] - line.flip(1).argmax(dim=1)).float()
    boxes[~occupied.flatten(1).any(dim=1)] = 0
    return boxes


def split_combined_polys(
    polys: Sequence[Any], poly_lens: Sequence[Any], polys_per_mask: Sequence[Any]
) -> list[list[list[Any]]]:
    """Polygons of each mask of each image, from one flat row of numbers per image.

    Args:
        polys: per image, all coordinates in one row.
        poly_lens: per image, how many numbers each polygon has.
        polys_per_mask: per image, how many polygons each mask has.
    """
    images = []
    for row, lengths, counts in zip(polys, poly_lens, polys_per_mask, strict=True):
        pieces = iter(_slices(row, lengths))
        images.append([[next(pieces) for _ in range(int(count))] for count in counts])
    return images


def _slices(row: Any, lengths: Any) -> list[Any]:
    ends = np.cumsum([int(length) for length in lengths])
    return [row[end - int(length) : end] for end, length in zip(ends, lengths, strict=True)]


def encode_mask_results(mask_results: Any) -> Any:
    """Masks per class as COCO run lengths; codes stay what they are, as do the scores in (masks, scores)."""
    if isinstance(mask_results, tuple):
        masks, scores = mask_results
        return encode_mask_results(masks), scores
    codes = iter(encode_bitmaps([mask for group in mask_results for mask in group if not isinstance(mask, dict)]))
    return [[mask if isinstance(mask, dict) else next(codes) for mask in group] for group in mask_results]


def preprocess_panoptic_gt(
    gt_labels: Tensor,
    gt_masks: Masks,
    gt_semantic_seg: Tensor | None,
    num_things: int,
    num_stuff: int,
    img_metas: Mapping[str, Any],
) -> tuple[Tensor, Tensor]:
    """One list of things and stuff for mask classification.

    Args:
        gt_labels: `(G,)` of things.
        gt_masks: `G` masks of things.
        gt_semantic_seg: `(1, h, w)` class map with 255 where unknown, or None.
        num_things: classes of things.
        num_stuff: classes of stuff.
        img_metas: `pad_shape`.

    Returns:
        `(S,)` int64 labels and `(S, H, W)` int64 masks in the padded image.
    """
    things = gt_masks.pad(tuple(img_metas["pad_shape"][:2])).to_tensor(torch.bool, gt_labels.device)
    if num_stuff == 0 or gt_semantic_seg is None:
        return gt_labels, things.long()
    class_map = gt_semantic_seg.squeeze(0)
    present = torch.unique(class_map)
    stuff = present[(present >= num_things) & (present != 255)]
    masks = torch.cat([things, class_map[None] == stuff[:, None, None]])
    return torch.cat([gt_labels.long(), stuff.long()]), masks.long()
