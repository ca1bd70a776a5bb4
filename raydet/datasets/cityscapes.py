"""Cityscapes (arXiv:1604.01685) with annotations in COCO layout."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from typing import Any, ClassVar

from raydet.datasets import cityscapes_results, coco_results
from raydet.datasets.class_names import names_of, palette_of
from raydet.datasets.coco import CocoDataset
from raydet.datasets.custom import MIN_SIZE
from raydet.registry import METRICS


class CityscapesDataset(CocoDataset):
    """Streets with eight classes of instances."""

    CLASSES: Sequence[str] | None = names_of("cityscapes")
    PALETTE: ClassVar[Any] = palette_of("cityscapes")

    def _filter_imgs(self, min_size: int = MIN_SIZE) -> list[int]:
        """Images that show nothing but crowds are empty as well."""
        kept = super()._filter_imgs(min_size)
        if not self.filter_empty_gt:
            return kept
        return [i for i in kept if not self._table.crowd[self._table.rows(i)].all()]

    def get_ann_info(self, idx: int) -> dict[str, Any]:
        """Annotation of one image, see `CocoDataset`; `seg_map` is the file that the image's record names."""
        return {**super().get_ann_info(idx), "seg_map": self.data_infos[idx]["segm_file"]}

    def results2txt(self, results: Sequence[Any], outfile_prefix: str) -> list[str]:
        """Write results as the test server takes them into the folder `outfile_prefix`; paths of the text files."""
        names = [info["filename"] for info in self.data_infos]
        return cityscapes_results.write_results(outfile_prefix, names, self.CLASSES or (), results)

    def format_results(  # type: ignore[override]
        self, results: Sequence[Any], txtfile_prefix: str | None = None, **kwargs: Any
    ) -> tuple[list[str], tempfile.TemporaryDirectory[str] | None]:
        """Write results as the test server takes them.

        Args:
            results: per image (boxes by class, masks by class).
            txtfile_prefix: folder of the files; a temporary one when left out.
            kwargs: unused.

        Returns:
            The paths of the text files, and the temporary folder if there is one.
        """
        prefix, folder = coco_results.destination(self, results, txtfile_prefix)
        return self.results2txt(results, prefix), folder

    def evaluate(  # type: ignore[override]
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = "bbox",
        logger: logging.Logger | str | None = None,
        outfile_prefix: str | None = None,
        classwise: bool = False,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thrs: float | Sequence[float] | None = None,
    ) -> dict[str, Any]:
        """Evaluate results as Cityscapes or as COCO does.

        Args:
            results: one 2.x result per image.
            metric: "cityscapes", or any metric of `CocoDataset`, or several.
            logger: where tables go.
            outfile_prefix: also write the results there: `<prefix>.bbox.json` for COCO, the folder for Cityscapes.
            classwise: also show each class, for COCO.
            proposal_nums: numbers of detections per image that count, for COCO.
            iou_thrs: overlaps to average over, for COCO; 0.5, 0.55, ... 0.95 when left out.

        Returns:
            `mAP` and `AP@50` of Cityscapes, `bbox_mAP` and so on of COCO.
        """
        metrics = [metric] if isinstance(metric, str) else list(metric)
        of_coco = [name for name in metrics if name != "cityscapes"]
        scores: dict[str, Any] = {}
        if len(of_coco) < len(metrics):
            scores.update(METRICS.resolve("cityscapes")(self, results, outfile_prefix=outfile_prefix, logger=logger))
        if of_coco and outfile_prefix is not None:
            self.results2json(results, outfile_prefix)
        if of_coco:
            scores.update(
                self._score(
                    results,
                    metric=of_coco,
                    logger=logger,
                    classwise=classwise,
                    proposal_nums=proposal_nums,
                    iou_thrs=iou_thrs,
                )
            )
        return scores
