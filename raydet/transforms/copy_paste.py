"""Objects of another image on top."""

from __future__ import annotations

import numpy as np

from raydet.structures import BitmapMasks
from raydet.transforms import mixing
from raydet.transforms.base import Results


class CopyPaste(mixing.MixingTransform):
    """Copy objects of another sample, by their masks, into a sample of the same size (arXiv:2012.07177).

    Masks become bitmaps. Boxes of objects that get covered are taken anew from what is left of their masks.

    Args:
        max_num_pasted: fewer objects than this are pasted.
        bbox_occluded_thr: an object stays whose box moved by at most so many pixels on each side ...
        mask_occluded_thr: ... or of whose mask more than so many pixels are left.
        selected: draw how many and which objects are pasted; else all are.
    """

    def __init__(
        self,
        max_num_pasted: int = 100,
        bbox_occluded_thr: float = 10,
        mask_occluded_thr: float = 300,
        selected: bool = True,
    ) -> None:
        self.max_num_pasted = max_num_pasted
        self.bbox_occluded_thr = bbox_occluded_thr
        self.mask_occluded_thr = mask_occluded_thr
        self.selected = selected

    def draw(self, results: Results) -> np.ndarray:
        """Which objects of the other sample are pasted."""
        count = len(self.partners(results)[0]["gt_bboxes"])
        if not self.selected:
            return np.arange(count)
        number = np.random.randint(0, min(count + 1, self.max_num_pasted))
        return np.random.choice(count, size=number, replace=False)

    def apply(self, results: Results, params: np.ndarray) -> Results:
        partner = self.partners(results)[0]
        if results["img"].shape != partner["img"].shape:
            raise ValueError(
                f"CopyPaste needs images of one size, got {results['img'].shape} and {partner['img'].shape}; "
                "end the inner pipeline with RandomCrop and Pad to a fixed size"
            )
        if not len(params):
            return results
        pasted = _bitmaps(partner)[params]
        cover = pasted.any(axis=0)
        masks = np.where(cover, np.uint8(0), _bitmaps(results))
        boxes = BitmapMasks(masks, *cover.shape).get_bboxes()
        kept = self._remaining(results["gt_bboxes"], boxes, masks)
        joined = np.concatenate([masks[kept], pasted])
        results["img"] = np.where(cover[..., None], partner["img"], results["img"])
        results["gt_bboxes"] = np.concatenate([boxes[kept], partner["gt_bboxes"][params]])
        results["gt_labels"] = np.concatenate([results["gt_labels"][kept], partner["gt_labels"][params]])
        results["gt_masks"] = BitmapMasks(joined, *cover.shape)
        return results

    def _remaining(self, before: np.ndarray, after: np.ndarray, masks: np.ndarray) -> np.ndarray:
        unmoved = (np.abs(after - before) <= self.bbox_occluded_thr).all(axis=1)
        kept: np.ndarray = unmoved | (masks.sum(axis=(1, 2)) > self.mask_occluded_thr)
        return kept


def _bitmaps(sample: Results) -> np.ndarray:
    """`(G, H, W)` uint8."""
    if sample.get("gt_masks") is None:
        raise ValueError("CopyPaste needs gt_masks; set with_mask=True in LoadAnnotations")
    bitmaps: np.ndarray = sample["gt_masks"].to_ndarray().astype(np.uint8, copy=False)
    return bitmaps
