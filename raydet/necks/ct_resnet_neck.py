"""CenterNet's way up from the last feature map of a ResNet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from raydet.layers import BN, BaseModule, ConvModule, InitCfg, constant_init, is_norm

_DCN = {"type": "DCNv2"}
_TRANSPOSED = {"type": "deconv"}


class CTResNetNeck(BaseModule):
    """A convolution and a transposed convolution that doubles the size, several times (arXiv:1904.07850).

    Args:
        in_channel: of the last input map; the others are not used.
        num_deconv_filters: channels after each doubling.
        num_deconv_kernels: kernels of the transposed convolutions, with one pixel of padding; 4 doubles exactly.
        use_dcn: the convolutions are deformable.
        init_cfg: how to initialise, before the neck starts in its own way.

    Raises:
        ValueError: other numbers of filters than of kernels.
    """

    def __init__(
        self,
        in_channel: int,
        num_deconv_filters: Sequence[int],
        num_deconv_kernels: Sequence[int],
        use_dcn: bool = True,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(num_deconv_filters) != len(num_deconv_kernels):
            raise ValueError(
                f"num_deconv_filters={num_deconv_filters} and num_deconv_kernels={num_deconv_kernels} "
                "must have the same length: one of each per doubling"
            )
        self.use_dcn = use_dcn
        kind = _DCN if use_dcn else None
        layers: list[nn.Module] = []
        before = in_channel
        for channels, kernel in zip(num_deconv_filters, num_deconv_kernels, strict=True):
            layers.append(ConvModule(before, channels, 3, padding=1, conv_cfg=kind, norm_cfg=BN))
            up = ConvModule(channels, channels, kernel, stride=2, padding=1, conv_cfg=_TRANSPOSED, norm_cfg=BN)
            layers.append(up)
            before = channels
        self.deconv_layers = nn.Sequential(*layers)

    def init_weights(self) -> None:
        """Convolutions start as torch's own do, but the first kernels of each way up as bilinear interpolation."""
        super().init_weights()
        for layer in self.modules():
            if isinstance(layer, nn.ConvTranspose2d):
                layer.reset_parameters()
                _interpolate(layer.weight)
            elif is_norm(layer):
                constant_init(layer, 1)
            elif isinstance(layer, nn.Conv2d) and not self.use_dcn:
                layer.reset_parameters()

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor]:
        """Map the last `(N, in_channel, H, W)` to one map `(N, num_deconv_filters[-1], h, w)`."""
        return (self.deconv_layers(inputs[-1]),)


@torch.no_grad()
def _interpolate(weight: Tensor) -> None:
    """Fill the kernels to the first output channel of a transposed convolution `(in, out, k, k)`."""
    size = weight.shape[2]
    step = (size + 1) // 2
    middle = (2 * step - 1 - step % 2) / (2 * step)
    tent = 1 - (torch.arange(size, dtype=weight.dtype, device=weight.device) / step - middle).abs()
    weight[:, 0] = tent[:, None] * tent
