"""CentripetalNet: corners belong together when they point to the same center."""

from __future__ import annotations

from typing import Any

import torch
from raydet_ops import DeformConv2d
from torch import Tensor

from raydet.heads.heatmap.corner import EDGES, CornerHead, shift_loss
from raydet.heads.heatmap.corner_pairs import Frame, Maps, Peaks
from raydet.heads.heatmap.corner_targets import CornerTargets
from raydet.layers import ConvModule, normal_init
from raydet.registry import LOSSES

GUIDING_LOSS = {"type": "SmoothL1Loss", "beta": 1.0, "loss_weight": 0.05}
CENTRIPETAL_LOSS = {"type": "SmoothL1Loss", "beta": 1.0, "loss_weight": 1}
LARGE = 3500  # area of a box in pixels from which its central region is larger, section 4.1 of the paper


class CentripetalHead(CornerHead):
    """CornerNet with shifts from corners to centers instead of embeddings (arXiv:2003.09119).

    Args:
        num_classes: `K`.
        in_channels: of the feature maps.
        centripetal_shift_channels: 2.
        guiding_shift_channels: 2.
        feat_adaption_conv_kernel: side of the deformable convolution that looks where the guiding shift points.
        loss_guiding_shift: part or dict.
        loss_centripetal_shift: part or dict.
        init_cfg: must be None.
        **kwargs: see `CornerHead`.

    Raises:
        ValueError: shifts with other than 2 channels.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        centripetal_shift_channels: int = 2,
        guiding_shift_channels: int = 2,
        feat_adaption_conv_kernel: int = 3,
        loss_guiding_shift: Any = GUIDING_LOSS,
        loss_centripetal_shift: Any = CENTRIPETAL_LOSS,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        if (centripetal_shift_channels, guiding_shift_channels) != (2, 2):
            raise ValueError(
                "centripetal_shift_channels and guiding_shift_channels must be 2, for x and y; "
                f"got {centripetal_shift_channels} and {guiding_shift_channels}"
            )
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        kernel = feat_adaption_conv_kernel
        for side in EDGES:
            self.per_level(f"{side}_feat_adaption", lambda: DeformConv2d(in_channels, in_channels, kernel, 1, 1))
        for side in EDGES:
            self.per_level(f"{side}_dcn_offset", lambda: ConvModule(2, 2 * kernel**2, 1, bias=False, act_cfg=None))
        self.add_predictors("guiding_shift", 2)
        self.add_predictors("centripetal_shift", 2)
        self.loss_guiding_shift = LOSSES.build(loss_guiding_shift)
        self.loss_centripetal_shift = LOSSES.build(loss_centripetal_shift)
        self.roles = ["heat", "off", "guiding_shift", "centripetal_shift"]

    def init_weights(self) -> None:
        """As `CornerHead`; the convolutions to shifts start as torch's own do."""
        super().init_weights()
        for side in EDGES:
            for level in range(self.num_feat_levels):
                normal_init(self.part(f"{side}_feat_adaption", level), std=0.01)
                normal_init(self.part(f"{side}_dcn_offset", level).conv, std=0.1)
                for role in ("guiding_shift", "centripetal_shift"):
                    for layer in self.part(f"{side}_{role}", level):
                        layer.conv.reset_parameters()

    def predicted(self, side: str, pooled: Tensor, level: int) -> Maps:
        def of(role: str, feature: Tensor) -> Tensor:
            values: Tensor = self.part(f"{side}_{role}", level)(feature)
            return values

        guiding = of("guiding_shift", pooled)
        offset = of("dcn_offset", guiding.detach())
        adapted = self.part(f"{side}_feat_adaption", level)(pooled, offset)
        return {
            "heat": of("heat", pooled),
            "off": of("off", pooled),
            "guiding_shift": guiding,
            "centripetal_shift": of("centripetal_shift", adapted),
        }

    def level_losses(self, maps: tuple[Maps, Maps], targets: tuple[CornerTargets, CornerTargets]) -> dict[str, Tensor]:
        return {
            **super().level_losses(maps, targets),
            "guiding_loss": shift_loss(self.loss_guiding_shift, "guiding_shift", maps, targets),
            "centripetal_loss": shift_loss(self.loss_centripetal_shift, "centripetal_shift", maps, targets),
        }

    def belong_together(self, tl: Peaks, br: Peaks, boxes: Tensor, frame: Frame) -> Tensor:
        """`(k, k)` bool: both centers lie in the middle of the box, and close together for the size of that middle."""
        first = frame.on_image(tl.points + tl.values["centripetal_shift"].exp())
        second = frame.on_image(br.points - br.values["centripetal_shift"].exp())
        sides = boxes[..., 2:] - boxes[..., :2]
        part = torch.where(sides.prod(dim=2) > LARGE, 1 / 2.1, 1 / 2.4)[..., None]
        center, reach = (boxes[..., :2] + boxes[..., 2:]) / 2, part * sides / 2
        inside = [((each - center).abs() < reach).all(dim=2) for each in (first[:, None], second)]
        distance = (second - first[:, None]).prod(dim=2).abs() / (4 * reach.prod(dim=2).abs())
        close = distance <= float(self.test_config.extra.get("distance_threshold", 0.5))
        return close & inside[0] & inside[1]
