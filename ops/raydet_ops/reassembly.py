"""CARAFE, content-aware reassembly of features (arXiv:1905.02188)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet_ops._arrays import widened
from raydet_ops._checks import check_floating, check_positive, check_shape, check_tensors
from raydet_ops._operator import define, differentiate, plain_gradients


def _plain(features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int) -> Tensor:
    num_images, channels, height, width = features.shape
    if features.numel() == 0:
        return features.new_zeros(num_images, channels, height * scale_factor, width * scale_factor)
    windows = F.unfold(features, kernel_size, padding=kernel_size // 2)
    windows = windows.view(num_images, group_size, channels // group_size, kernel_size**2, height, width)
    weights = masks.view(num_images, group_size, kernel_size**2, height, scale_factor, width, scale_factor)
    out = torch.einsum("ngckhw,ngkhawb->ngchawb", windows, weights)
    return out.reshape(num_images, channels, height * scale_factor, width * scale_factor)


def _plain_backward(
    grad: Tensor, features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int
) -> tuple[Tensor, Tensor]:
    if features.numel() == 0:
        return features.new_zeros(features.shape), masks.new_zeros(masks.shape)
    a, b = plain_gradients(_plain, grad, (features, masks), kernel_size, group_size, scale_factor)
    return a.contiguous(), b.contiguous()


_carafe = define(
    "carafe(Tensor features, Tensor masks, int kernel_size, int group_size, int scale_factor) -> Tensor",
    plain=_plain,
    fake=lambda features, masks, kernel_size, group_size, scale_factor: features.new_empty(
        *features.shape[:2], features.shape[2] * scale_factor, features.shape[3] * scale_factor
    ),
)
_carafe_backward = define(
    "carafe_backward(Tensor grad, Tensor features, Tensor masks, int kernel_size, int group_size, int scale_factor)"
    " -> (Tensor, Tensor)",
    plain=_plain_backward,
    fake=lambda grad, features, masks, *sizes: (features.new_empty(features.shape), masks.new_empty(masks.shape)),
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    return (*_carafe_backward(grad, **tensors, **numbers), None, None, None)


differentiate(_carafe, _gradient, saves=("features", "masks"))


def carafe(features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int) -> Tensor:
    """Enlarge maps: every pixel of the result is a sum of the window around its source, with weights of its own.

    Args:
        features: `(N, C, H, W)`.
        masks: `(N, group_size * kernel_size**2, s H, s W)` weights of the window, row by row.
        kernel_size: side of the window; odd.
        group_size: number of groups of channels that have weights of their own; divides C.
        scale_factor: s, how much larger the result is.

    Returns:
        `(N, C, s H, s W)`, of the dtype of `features`.

    Raises:
        ValueError: numbers, shapes or devices do not go together.
        TypeError: a tensor is not floating.
    """
    check_tensors(features=features, masks=masks)
    check_floating(features=features, masks=masks)
    check_positive(kernel_size=kernel_size, group_size=group_size, scale_factor=scale_factor)
    check_shape("features", features, "N", "C", "H", "W")
    num_images, channels, height, width = features.shape
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd, got {kernel_size}")
    if channels % group_size:
        raise ValueError(f"group_size must divide the {channels} channels of features, got {group_size}")
    size = height * scale_factor, width * scale_factor
    check_shape("masks", masks, num_images, group_size * kernel_size**2, *size)
    dtype = torch.promote_types(features.dtype, masks.dtype)
    wide = widened(features.to(dtype)), widened(masks.to(dtype))
    out: Tensor = _carafe(*wide, kernel_size, group_size, scale_factor)
    return out.to(features.dtype)


def carafe_naive(features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int) -> Tensor:
    """The same as `carafe`; 2.x has another kernel under this name."""
    return carafe(features, masks, kernel_size, group_size, scale_factor)


class CARAFE(nn.Module):
    """`carafe` with fixed settings.

    Args:
        kernel_size: side of the window; odd.
        group_size: number of groups of channels that have weights of their own.
        scale_factor: how much larger the result is.
    """

    def __init__(self, kernel_size: int, group_size: int, scale_factor: int) -> None:
        super().__init__()
        check_positive(kernel_size=kernel_size, group_size=group_size, scale_factor=scale_factor)
        self.kernel_size = kernel_size
        self.group_size = group_size
        self.scale_factor = scale_factor

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to `(N, C, s H, s W)`."""
        return carafe(features, masks, self.kernel_size, self.group_size, self.scale_factor)


class CARAFENaive(CARAFE):
    """`carafe_naive` with fixed settings, those of `CARAFE`."""


class CARAFEPack(nn.Module):
    """Upsampling that predicts the weights of `carafe` from the features themselves.

    Args:
        channels: channels of input and output.
        scale_factor: how much larger the result is.
        up_kernel: side of the window that is reassembled.
        up_group: groups of channels that have weights of their own.
        encoder_kernel: kernel of the convolution that predicts the weights.
        encoder_dilation: its dilation.
        compressed_channels: channels that it sees.
    """

    def __init__(
        self,
        channels: int,
        scale_factor: int,
        up_kernel: int = 5,
        up_group: int = 1,
        encoder_kernel: int = 3,
        encoder_dilation: int = 1,
        compressed_channels: int = 64,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.scale_factor = scale_factor
        self.up_kernel = up_kernel
        self.up_group = up_group
        self.encoder_kernel = encoder_kernel
        self.encoder_dilation = encoder_dilation
        self.compressed_channels = compressed_channels
        self.channel_compressor = nn.Conv2d(channels, compressed_channels, 1)
        self.content_encoder = nn.Conv2d(
            compressed_channels,
            up_kernel**2 * up_group * scale_factor**2,
            encoder_kernel,
            padding=(encoder_kernel - 1) * encoder_dilation // 2,
            dilation=encoder_dilation,
        )
        self.init_weights()

    def init_weights(self) -> None:
        """Xavier, uniform; the weights of windows start out nearly equal."""
        nn.init.xavier_uniform_(self.channel_compressor.weight)
        nn.init.normal_(self.content_encoder.weight, std=0.001)
        for layer in (self.channel_compressor, self.content_encoder):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def kernel_normalizer(self, mask: Tensor) -> Tensor:
        """Turn predictions `(N, up_group * k * k * s * s, H, W)` into masks `(N, up_group * k * k, s H, s W)`."""
        mask = F.pixel_shuffle(mask, self.scale_factor)
        num_images, channels, height, width = mask.shape
        windows = mask.view(num_images, -1, self.up_kernel**2, height, width)
        return windows.softmax(2).view(num_images, channels, height, width)

    def feature_reassemble(self, x: Tensor, mask: Tensor) -> Tensor:
        """Enlarge `x` with the weights `mask`."""
        return carafe(x, mask, self.up_kernel, self.up_group, self.scale_factor)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to `(N, C, s H, s W)`."""
        mask = self.content_encoder(self.channel_compressor(x))
        return self.feature_reassemble(x, self.kernel_normalizer(mask))
