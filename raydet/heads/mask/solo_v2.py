"""SOLOv2: every cell predicts the kernel that finds its mask on one shared map."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.heads.mask.features import MaskFeatModule
from raydet.heads.mask.grid import GridMaskHead, Maps, rare, run
from raydet.heads.mask.sizes import Size, neighbour_sizes, resized, size_of, stretched, with_coordinates

INIT = rare("conv_cls")


class SOLOV2Head(GridMaskHead):
    """Dynamic convolutions on mask features that all levels make together (arXiv:2003.10152).

    Args:
        num_classes: `K`.
        in_channels: of the feature maps.
        mask_feature_head: arguments of `MaskFeatModule`; `in_channels` is that of the head.
        dynamic_conv_size: side of the predicted kernels, odd.
        dcn_cfg: deformable convolutions in the towers; None for ordinary ones.
        dcn_apply_to_all_conv: all convolutions of a tower are deformable, otherwise the last one.
        init_cfg: weight initialisation.
        **kwargs: see `GridMaskHead`.

    Raises:
        ValueError: an even `dynamic_conv_size`.
        TypeError: `dcn_cfg` is neither a dict nor None.
    """

    several = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        mask_feature_head: Mapping[str, Any],
        dynamic_conv_size: int = 1,
        dcn_cfg: Mapping[str, Any] | None = None,
        dcn_apply_to_all_conv: bool = True,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        if dcn_cfg is not None and not isinstance(dcn_cfg, Mapping):
            raise TypeError(f"dcn_cfg must be a dict like dict(type='DCNv2') or None, got {dcn_cfg!r}")
        if dynamic_conv_size % 2 == 0:
            raise ValueError(f"dynamic_conv_size must be odd, so that masks keep their place; got {dynamic_conv_size}")
        self.dynamic_conv_size = dynamic_conv_size
        self.dcn_cfg = dcn_cfg
        self.dcn_apply_to_all_conv = dcn_apply_to_all_conv
        self.kernel_dims = mask_feature_head["out_channels"] * dynamic_conv_size**2
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        # These come after the classes' predictor, as in 2.x.
        self.conv_kernel = nn.Conv2d(self.feat_channels, self.kernel_dims, 3, padding=1)
        self.mask_feature_head = self._mask_features(mask_feature_head)

    def build_layers(self) -> None:
        everywhere = self.dcn_cfg if self.dcn_apply_to_all_conv else None
        self.cls_convs = self.tower(0, self.dcn_cfg, everywhere)
        self.kernel_convs = self.tower(2, self.dcn_cfg, everywhere)

    def _mask_features(self, cfg: Mapping[str, Any]) -> MaskFeatModule:
        given = cfg.get("in_channels")
        if given not in (None, self.in_channels):
            warnings.warn(f"mask_feature_head.in_channels={given} is ignored: the head has {self.in_channels}")
        return MaskFeatModule(**{**cfg, "in_channels": self.in_channels})

    @property
    def mask_strides(self) -> tuple[float, ...]:
        return (self.fine_stride,) * len(self.num_grids)

    @property
    def fine_stride(self) -> int:
        return self.mask_feature_head.mask_stride

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Kernels `(N, D, g, g)`, class logits `(N, K, g, g)`, level by level, and mask features `(N, C, h, w)`."""
        mask_feats = self.mask_feature_head(feats)
        kernels, classes = [], []
        for feature, grid in zip(neighbour_sizes(feats), self.num_grids, strict=True):
            cells = resized(with_coordinates(feature), (grid, grid))
            kernels.append(self.conv_kernel(run(self.kernel_convs, cells)))
            classes.append(self.conv_cls(run(self.cls_convs, cells[:, :-2])))
        return kernels, classes, mask_feats

    def class_maps(self, maps: Maps) -> list[Tensor]:
        return list(maps[1])

    def mask_size(self, maps: Maps, level: int) -> Size:
        return size_of(maps[2])

    def masks(self, maps: Maps, level: int, image: int, cells: Tensor) -> Tensor:
        features: Tensor = maps[2][image]
        kernels = maps[0][level][image].flatten(1)[:, cells].t()
        if len(cells) == 0:  # convolutions want at least one kernel
            nothing: Tensor = (features.sum() + kernels.sum()) * features.new_zeros(0, *features.shape[1:])
            return nothing
        side = self.dynamic_conv_size
        return F.conv2d(features[None], kernels.reshape(len(cells), -1, side, side), padding=side // 2)[0]

    def probabilities(self, maps: Maps, level: int, image: int, cells: Tensor, size: Size) -> Tensor:
        with torch.autocast(maps[2].device.type, enabled=False):
            exact = ([level.float() for level in maps[0]], maps[1], maps[2].float())
            return stretched(self.masks(exact, level, image, cells), size)
