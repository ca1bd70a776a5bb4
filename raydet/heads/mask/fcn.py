"""Masks of regions by convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from raydet_ops import paste_masks
from torch import Tensor, nn

from raydet.geometry import mask_target
from raydet.heads.settings import RoITraining
from raydet.layers import BaseModule, ConvModule, ModuleList, build_conv_layer, build_upsample_layer
from raydet.layers.init_functions import kaiming_init
from raydet.registry import LOSSES
from raydet.structures import Masks

LOSS_MASK = {"type": "CrossEntropyLoss", "use_mask": True, "loss_weight": 1.0}
UPSAMPLE = {"type": "deconv", "scale_factor": 2}
PREDICTOR = {"type": "Conv"}
UPSAMPLING = (None, "deconv", "nearest", "bilinear", "carafe")
PIXELS_AT_ONCE = 2**30
"""Pixels pasted at once on an accelerator, of a byte each."""


class FCNMaskHead(BaseModule):
    """Convolutions, an upsampling and one mask per class (arXiv:1703.06870).

    Args:
        num_convs: depth.
        roi_feat_size: side or `(h, w)` of the pooled features.
        in_channels: of the pooled features.
        conv_kernel_size: side of the convolutions.
        conv_out_channels: of the convolutions.
        num_classes: `K`, without background.
        class_agnostic: one mask for all classes instead of one for each.
        upsample_cfg: `type` (`deconv`, `nearest`, `bilinear`, `carafe` or None) and its arguments.
        conv_cfg: convolution.
        norm_cfg: normalisation of the convolutions; None for none.
        predictor_cfg: last convolution.
        loss_mask: part or dict.
        init_cfg: must be None: the head initialises itself.

    Raises:
        ValueError: unknown upsampling, or an `init_cfg`.
    """

    def __init__(
        self,
        num_convs: int = 4,
        roi_feat_size: int | tuple[int, int] = 14,
        in_channels: int = 256,
        conv_kernel_size: int = 3,
        conv_out_channels: int = 256,
        num_classes: int = 80,
        class_agnostic: bool = False,
        upsample_cfg: Mapping[str, Any] = UPSAMPLE,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        predictor_cfg: Mapping[str, Any] = PREDICTOR,
        loss_mask: Any = LOSS_MASK,
        init_cfg: Any = None,
    ) -> None:
        if init_cfg is not None:
            raise ValueError(f"{type(self).__name__} initialises itself; leave init_cfg out, got {init_cfg!r}")
        super().__init__(None)
        self.num_classes = num_classes
        self.class_agnostic = class_agnostic
        self.loss_mask = LOSSES.build(loss_mask)
        self.convs = ModuleList(
            ConvModule(
                conv_out_channels if i else in_channels,
                conv_out_channels,
                conv_kernel_size,
                padding=(conv_kernel_size - 1) // 2,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
            )
            for i in range(num_convs)
        )
        width = conv_out_channels if num_convs else in_channels
        self.upsample, self.activate, width = _upsampling(upsample_cfg, width, conv_out_channels)
        self.conv_logits = build_conv_layer(predictor_cfg, width, 1 if class_agnostic else num_classes, 1)

    def init_weights(self) -> None:
        super().init_weights()
        for layer in (self.upsample, self.conv_logits):
            if callable(own := getattr(layer, "init_weights", None)):
                own()
            elif hasattr(layer, "weight") and hasattr(layer, "bias"):
                kaiming_init(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features `(R, C, h, w)` to mask logits `(R, K or 1, h', w')`."""
        for conv in self.convs:
            x = conv(x)
        x = self.activate(self.upsample(x))
        logits: Tensor = self.conv_logits(x)
        return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits

    def get_targets(self, samples: Sequence[Any], gt_masks: Sequence[Masks], config: RoITraining) -> Tensor:
        """`(P, h, w)` masks of the positives inside their boxes."""
        return mask_target(
            [sample.pos_bboxes for sample in samples],
            [sample.pos_assigned_gt_inds for sample in samples],
            gt_masks,
            {"mask_size": config.mask_size, "soft_mask_target": config.soft_mask_target},
        )

    def loss(self, mask_pred: Tensor, mask_targets: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The loss of `P` positives; zero, yet of all parameters, without any."""
        if len(mask_pred) == 0:
            return {"loss_mask": mask_pred.sum()}
        return {"loss_mask": self.loss_mask(mask_pred, mask_targets, self._channels(labels))}

    def _channels(self, labels: Tensor) -> Tensor:
        return torch.zeros_like(labels) if self.class_agnostic else labels

    def paste(
        self, masks: Tensor, boxes: Tensor, labels: Tensor, size: tuple[int, int], threshold: float
    ) -> np.ndarray:
        """Masks of one image on its pixels.

        Args:
            masks: `(D, K or 1, h, w)` probabilities.
            boxes: `(D, 4)` in pixels of the image.
            labels: `(D,)`.
            size: `(height, width)` of the image.
            threshold: masks are where the probability is at least this; negative for probabilities times 255.

        Returns:
            `(D, height, width)` bool, or uint8 if `threshold` is negative.
        """
        chosen = masks[torch.arange(len(masks), device=masks.device), self._channels(labels)]
        on_cpu = masks.device.type == "cpu"
        at_once = max(1, len(masks) if on_cpu else PIXELS_AT_ONCE // max(size[0] * size[1], 1))
        chunks = zip(torch.split(chosen, at_once), torch.split(boxes, at_once), strict=True)
        pasted = [paste_masks(part, places, size, threshold).cpu().numpy() for part, places in chunks]
        return pasted[0] if len(pasted) == 1 else np.concatenate(pasted)

    def get_seg_masks(
        self,
        mask_pred: Tensor | np.ndarray,
        det_bboxes: Tensor,
        det_labels: Tensor,
        rcnn_test_cfg: Any,
        ori_shape: Sequence[int],
        scale_factor: Any,
        rescale: bool,
    ) -> list[list[np.ndarray]]:
        """The 2.x mask result of one image: `K` lists of masks.

        Args:
            mask_pred: `(D, K or 1, h, w)` logits as a tensor, or probabilities as an array.
            det_bboxes: `(D, 4)` or `(D, 5)` in pixels of the network input.
            det_labels: `(D,)`.
            rcnn_test_cfg: has `mask_thr_binary`.
            ori_shape: `(height, width, ...)` of the original image.
            scale_factor: network size over original size, one number or four.
            rescale: masks of the original size instead of the network's.
        """
        probabilities = mask_pred.sigmoid() if isinstance(mask_pred, Tensor) else det_bboxes.new_tensor(mask_pred)
        scale = torch.as_tensor(scale_factor, dtype=det_bboxes.dtype, device=det_bboxes.device).expand(4)
        boxes = det_bboxes[:, :4] / scale if rescale else det_bboxes[:, :4]
        size = (int(ori_shape[0]), int(ori_shape[1]))
        if not rescale:
            width_scale, height_scale = scale[:2].tolist()
            size = (round(size[0] * height_scale), round(size[1] * width_scale))
        masks = self.paste(probabilities, boxes, det_labels, size, float(rcnn_test_cfg["mask_thr_binary"]))
        grouped: list[list[np.ndarray]] = [[] for _ in range(self.num_classes)]
        for mask, label in zip(masks, det_labels.tolist(), strict=True):
            grouped[label].append(mask)
        return grouped


def _upsampling(cfg: Mapping[str, Any], in_channels: int, out_channels: int) -> tuple[nn.Module, nn.Module, int]:
    """The layer, the activation behind it and the channels that leave it."""
    options = dict(cfg)
    kind, factor = options.get("type"), options.pop("scale_factor", None)
    if kind not in UPSAMPLING:
        raise ValueError(f"upsample_cfg.type must be one of {UPSAMPLING}, got {kind!r}")
    if kind is None:
        return nn.Identity(), nn.Identity(), in_channels
    if kind == "deconv":
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "kernel_size": factor, "stride": factor}
        return build_upsample_layer({**options, **sizes}), nn.ReLU(inplace=True), out_channels
    if kind == "carafe":
        return (
            build_upsample_layer({**options, "channels": in_channels, "scale_factor": factor}),
            nn.Identity(),
            in_channels,
        )
    align = {"align_corners": None if kind == "nearest" else False}
    layer = build_upsample_layer({**options, "scale_factor": factor, **align})
    return layer, nn.Identity(), in_channels
