"""What dense heads do with their predictions: candidates of each level, and detections from those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.heads.dense.candidates import Candidates, select_candidates, suppress
from raydet.heads.dense.layout import LevelLayout
from raydet.heads.dense.output import DenseOutput
from raydet.heads.settings import Prediction
from raydet.heads.views import scale_of, to_original
from raydet.structures import Detections, ImageMeta


class DensePrediction:
    """The part of `DenseHead` that finds objects; a subclass changes `scores`, `score_factors` or `decode`."""

    bbox_coder: Any
    use_sigmoid_cls: bool
    test_config: Prediction
    outputs: Callable[[Sequence[Tensor]], DenseOutput]

    def scores(self, output: DenseOutput) -> Tensor:
        """`(N, R, K)` class probabilities."""
        logits = output["cls"]
        return logits.sigmoid() if self.use_sigmoid_cls else logits.softmax(-1)[..., :-1]

    def score_factors(self, output: DenseOutput) -> Tensor | None:
        """`(N, R)` factors on the scores of selected candidates (centerness), or None."""
        return None

    def decode(self, output: DenseOutput, image: int, index: Tensor, max_shape: Sequence[int]) -> Tensor:
        """`(M, 4)` boxes of the priors at `index` of one image, clipped to `max_shape`."""
        deltas = output["box"][image, index]
        boxes: Tensor = self.bbox_coder.decode(output.image_priors(image)[index], deltas, max_shape=max_shape)
        return boxes

    def select(self, scores: Tensor, layout: LevelLayout) -> Candidates:
        """The pairs of prior and class of one image, scored `(R, K)`, that are worth decoding."""
        return select_candidates(scores, layout, self.test_config.score_thr, self.test_config.nms_pre)

    def finish(self, candidates: Detections) -> Detections:
        """Detections from candidates."""
        return suppress(candidates, self.test_config)

    def candidates(self, output: DenseOutput, metas: Sequence[ImageMeta]) -> list[Detections]:
        """Detections before suppression, in pixels of the network input."""
        scores, factors = self.scores(output), self.score_factors(output)
        found = []
        for image, meta in enumerate(metas):
            picked = self.select(scores[image], output.layout)
            boxes = self.decode(output, image, picked.priors, meta.img_shape[:2])
            final = picked.scores if factors is None else picked.scores * factors[image, picked.priors]
            found.append(Detections(boxes, final, picked.labels))
        return found

    @torch.no_grad()
    def predict(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta], rescale: bool = False) -> list[Detections]:
        """Detections of every image, in pixels of the original image when `rescale`."""
        found = self.candidates(self.outputs(feats), metas)
        if rescale:
            found = [each.reduced(scale_of(meta, each.boxes)) for each, meta in zip(found, metas, strict=True)]
        return [self.finish(each) for each in found]

    @torch.no_grad()
    def predict_augmented(
        self, feats: Sequence[Sequence[Tensor]], metas: Sequence[ImageMeta], rescale: bool = False
    ) -> Detections:
        """Detections of one image from several views of it: all candidates of all views are suppressed together."""
        views = [self.candidates(self.outputs(f), [meta])[0] for f, meta in zip(feats, metas, strict=True)]
        joined = Detections(
            torch.cat([to_original(view.boxes, meta) for view, meta in zip(views, metas, strict=True)]),
            torch.cat([view.scores for view in views]),
            torch.cat([view.labels for view in views]),
        )
        kept = self.finish(joined)
        return kept if rescale else kept.enlarged(scale_of(metas[0], kept.boxes))
