"""A convolution and the batch normalisation behind it in one pass, while the statistics of the latter stand still.

With fixed statistics a normalisation multiplies and shifts each channel, which the weight of the convolution can do as
well. That saves two passes over the map, forward and backward, and the copy that the backward pass would keep of it.
Gradients reach all parameters as before, results agree up to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from raydet.layers.sync_bn import SyncBatchNorm

_ORDINARY = (_BatchNorm.forward, SyncBatchNorm.forward)  # in eval mode


def conv_then_norm(conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    """`norm(conv(x))`, folded where that is possible and saves time.

    Args:
        conv: any convolution; an `nn.Conv2d` can be folded.
        norm: any normalisation; a batch normalisation in eval mode can be folded.
        x: `(N, in_channels, H, W)`.
    """
    if isinstance(conv, nn.Conv2d) and isinstance(norm, _BatchNorm) and _can_fold(conv, norm) and _saves(conv, x):
        return _folded(conv, norm, x)
    out: Tensor = norm(conv(x))
    return out


class ConvNormChain(nn.Sequential):
    """Layers in turn, as in `nn.Sequential`; a convolution and the normalisation behind it go together."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, h, w)`."""
        layers = list(self)
        while layers:
            layer = layers.pop(0)
            follows = isinstance(layer, nn.Conv2d) and layers and isinstance(layers[0], _BatchNorm)
            x = conv_then_norm(layer, layers.pop(0), x) if follows else layer(x)
        return x


def _can_fold(conv: nn.Conv2d, norm: _BatchNorm) -> bool:
    """Whether both are what they seem: no subclass with a forward of its own, no hook that wants to see a call."""
    is_plain = type(conv) is nn.Conv2d and type(norm).forward in _ORDINARY
    stands_still = norm.running_var is not None and not norm.training
    hooked = any(each._forward_hooks or each._forward_pre_hooks or each._backward_hooks for each in (conv, norm))
    return is_plain and stands_still and not hooked


def _saves(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether the map is larger than the weight."""
    if torch.compiler.is_compiling():  # a compiler fuses normalisations itself, and exported graphs keep them
        return False
    places = x.numel() // x.shape[1] // (conv.stride[0] * conv.stride[1])
    return places > conv.weight[0].numel()


def _folded(conv: nn.Conv2d, norm: _BatchNorm, x: Tensor) -> Tensor:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    shift = shift * scale
    if norm.bias is not None:
        shift = shift + norm.bias
    weight = conv.weight * scale.view(-1, 1, 1, 1)
    out: Tensor = conv._conv_forward(x, weight.to(conv.weight.dtype), shift.to(conv.weight.dtype))
    return out
