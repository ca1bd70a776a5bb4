"""CornerNet: an object is a pair of corners."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.heads.dense.candidates import suppress
from raydet.heads.heatmap.corner_pairs import Frame, Maps, Peaks, all_boxes, best_pairs, find_peaks
from raydet.heads.heatmap.corner_pool import BiCornerPool
from raydet.heads.heatmap.corner_targets import CornerTargets, corner_targets
from raydet.heads.heatmap.peaks import joined, pairs_of_views
from raydet.heads.settings import Prediction
from raydet.heads.views import scale_of, to_original
from raydet.layers import BaseModule, ConvModule, ModuleList, bias_init_with_prob
from raydet.registry import LOSSES
from raydet.structures import Batch, Detections, ImageMeta

HEATMAP_LOSS = {"type": "GaussianFocalLoss", "alpha": 2.0, "gamma": 4.0, "loss_weight": 1}
EMBEDDING_LOSS = {"type": "AssociativeEmbeddingLoss", "pull_weight": 0.25, "push_weight": 0.25}
OFFSET_LOSS = {"type": "SmoothL1Loss", "beta": 1.0, "loss_weight": 1}
EDGES = {"tl": ("top", "left"), "br": ("bottom", "right")}


class CornerHead(BaseModule):
    """Heatmaps of top left and of bottom right corners; embeddings tell which belong together (arXiv:1808.01244).

    All levels learn, the last one predicts.

    Args:
        num_classes: `K`.
        in_channels: of the feature maps.
        num_feat_levels: feature maps.
        corner_emb_channels: numbers per embedding; 0 for none, with which the head learns but cannot predict.
        train_cfg: without effect.
        test_cfg: `corner_topk` (100), `local_maximum_kernel` (3), `distance_threshold` between embeddings (0.5), `nms`,
            `max_per_img`.
        loss_heatmap: part or dict.
        loss_embedding: part or dict.
        loss_offset: part or dict.
        init_cfg: must be None; the head starts as the paper does.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_feat_levels: int = 2,
        corner_emb_channels: int = 1,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        loss_heatmap: Any = HEATMAP_LOSS,
        loss_embedding: Any = EMBEDDING_LOSS,
        loss_offset: Any = OFFSET_LOSS,
        init_cfg: Any = None,
    ) -> None:
        if init_cfg is not None:
            raise ValueError(f"{type(self).__name__} starts in its own way; leave init_cfg out, got {init_cfg!r}")
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.num_feat_levels = num_feat_levels
        self.loss_heatmap = LOSSES.build(loss_heatmap)
        self.loss_embedding = None if loss_embedding is None else LOSSES.build(loss_embedding)
        self.loss_offset = LOSSES.build(loss_offset)
        self.test_config = Prediction.read(_present_names(test_cfg))
        for side, edges in EDGES.items():
            self.per_level(f"{side}_pool", lambda edges=edges: BiCornerPool(in_channels, edges, 128, in_channels))
        self.roles = ["heat", "emb", "off"] if corner_emb_channels > 0 else ["heat", "off"]
        for role, channels in (("heat", num_classes), ("off", 2), ("emb", corner_emb_channels)):
            if role in self.roles:
                self.add_predictors(role, channels)

    def per_level(self, name: str, build: Any) -> None:
        """A part of its own for every level."""
        self.add_module(name, ModuleList(build() for _ in range(self.num_feat_levels)))

    def add_predictors(self, role: str, channels: int) -> None:
        """Convolutions to one output of both kinds of corners."""
        for side in EDGES:
            self.per_level(f"{side}_{role}", lambda: _predictor(self.in_channels, channels))

    def init_weights(self) -> None:
        """Last convolutions start as torch's own do, corners at probability 0.1."""
        super().init_weights()
        for side in EDGES:
            for level in range(self.num_feat_levels):
                for role in ("heat", "off", "emb"):
                    if role in self.roles:
                        self.part(f"{side}_{role}", level)[-1].conv.reset_parameters()
                nn.init.constant_(self.part(f"{side}_heat", level)[-1].conv.bias, bias_init_with_prob(0.1))

    def part(self, name: str, level: int) -> Any:
        """The part called `name` of one level."""
        return getattr(self, name)[level]

    # Layers

    def corner(self, side: str, feature: Tensor, level: int) -> Maps:
        """Raw maps of one kind of corner on one level."""
        return self.predicted(side, self.part(f"{side}_pool", level)(feature), level)

    def predicted(self, side: str, pooled: Tensor, level: int) -> Maps:
        """What the predictors say of pooled features."""
        return {role: self.part(f"{side}_{role}", level)(pooled) for role in self.roles}

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        """Raw maps, heat as logits: for each role top left and bottom right, each a list over levels."""
        levels = self.levels(feats)
        return tuple([pair[side][role] for pair in levels] for role in self.roles for side in (0, 1))

    def levels(self, feats: Sequence[Tensor]) -> list[tuple[Maps, Maps]]:
        """Raw maps of both kinds of corners, level by level."""
        return [(self.corner("tl", x, level), self.corner("br", x, level)) for level, x in enumerate(feats)]

    # Training

    def loss(self, feats: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The losses of a batch with ground truth, summed over levels."""
        levels = [(_exact(tl), _exact(br)) for tl, br in self.levels(feats)]
        targets = corner_targets(batch, levels[-1][0]["heat"])
        parts = [self.level_losses(pair, targets) for pair in levels]
        return {name: torch.stack([part[name] for part in parts]).sum() for name in parts[0]}

    def level_losses(self, maps: tuple[Maps, Maps], targets: tuple[CornerTargets, CornerTargets]) -> dict[str, Tensor]:
        """Named losses of one level."""
        heat = [
            self.loss_heatmap(own["heat"], wanted.heat, avg_factor=wanted.heat.eq(1).sum().clamp(min=1))
            for own, wanted in zip(maps, targets, strict=True)
        ]
        losses = {"det_loss": (heat[0] + heat[1]) / 2, "off_loss": shift_loss(self.loss_offset, "off", maps, targets)}
        if "emb" in self.roles and self.loss_embedding is not None:
            matches = [torch.stack(pair, dim=1) for pair in zip(targets[0].cells, targets[1].cells, strict=True)]
            losses["pull_loss"], losses["push_loss"] = self.loss_embedding(maps[0]["emb"], maps[1]["emb"], matches)
        return losses

    # Inference

    @torch.no_grad()
    def predict(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta], rescale: bool = False) -> list[Detections]:
        """Detections of every image, in pixels of the original image when `rescale`."""
        found = self.candidates(feats, metas)
        if rescale:
            found = [each.reduced(scale_of(meta, each.boxes)) for each, meta in zip(found, metas, strict=True)]
        return [suppress(each, self.test_config) for each in found]

    @torch.no_grad()
    def predict_augmented(
        self, feats: Sequence[Sequence[Tensor]], metas: Sequence[ImageMeta], rescale: bool = False
    ) -> Detections:
        """Detections of one image from several views of it, which come with their mirror images."""
        pairs_of_views(metas)
        views = [self.candidates(maps, [meta])[0] for maps, meta in zip(feats, metas, strict=True)]
        original = [
            Detections(to_original(view.boxes, meta), view.scores, view.labels)
            for view, meta in zip(views, metas, strict=True)
        ]
        kept = suppress(joined(original), self.test_config)
        return kept if rescale else kept.enlarged(scale_of(metas[0], kept.boxes))

    def candidates(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta]) -> list[Detections]:
        """Pairs of corners that fit, best first, in pixels of the network input without its border."""
        last = len(feats) - 1
        top_left, bottom_right = (_exact(self.corner(side, feats[last], last)) for side in EDGES)
        return [self._pairs(_of_image(top_left, n), _of_image(bottom_right, n), meta) for n, meta in enumerate(metas)]

    def _pairs(self, top_left: Maps, bottom_right: Maps, meta: ImageMeta) -> Detections:
        """Pairs of corners of one image."""
        options = self.test_config.extra
        sizes = (options.get("local_maximum_kernel", 3), options.get("corner_topk", 100))
        frame = Frame.of(meta, top_left["heat"])
        tl, br = find_peaks(top_left, *sizes), find_peaks(bottom_right, *sizes)
        boxes = all_boxes(tl, br, frame)
        return best_pairs(tl, br, boxes, self.belong_together(tl, br, boxes, frame))

    def belong_together(self, tl: Peaks, br: Peaks, boxes: Tensor, frame: Frame) -> Tensor:
        """`(k, k)` bool: which corners are of one object, judged by their embeddings.

        Raises:
            ValueError: there are none.
        """
        if "emb" not in self.roles:
            raise ValueError(
                "corner_emb_channels=0 leaves nothing that tells which corners are of one object; set it to 1 or more, "
                "or use CentripetalHead, whose shifts tell"
            )
        distance = (tl.values["emb"][:, None] - br.values["emb"]).abs().amax(dim=2)
        return distance <= float(self.test_config.extra.get("distance_threshold", 0.5))


def shift_loss(loss: Any, role: str, maps: tuple[Maps, Maps], targets: tuple[CornerTargets, CornerTargets]) -> Tensor:
    """The loss of one kind of shift in the cells of corners, the mean of both kinds of corners."""
    top_left, bottom_right = (
        loss(own[role], wanted.shifts[role], wanted.learns, avg_factor=wanted.learns.sum().clamp(min=1))
        for own, wanted in zip(maps, targets, strict=True)
    )
    total: Tensor = (top_left + bottom_right) / 2
    return total


def _exact(maps: Maps) -> Maps:
    """Maps in float32, heat as probabilities."""
    return {role: values.float().sigmoid() if role == "heat" else values.float() for role, values in maps.items()}


def _of_image(maps: Maps, image: int) -> Maps:
    return {role: values[image : image + 1] for role, values in maps.items()}


def _predictor(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvModule(in_channels, 256, 3, padding=1), ConvModule(256, out_channels, 1, norm_cfg=None, act_cfg=None)
    )


def _present_names(cfg: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Settings with the old name `nms_cfg` replaced."""
    if cfg is None or "nms_cfg" not in cfg:
        return cfg
    warnings.warn("test_cfg.nms_cfg is the old name of test_cfg.nms", DeprecationWarning)
    return {"nms": cfg["nms_cfg"], **{key: value for key, value in cfg.items() if key != "nms_cfg"}}
