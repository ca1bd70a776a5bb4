"""Maps as sequences of patches: `(N, C, H, W)` to `(N, L, C)` and back, embedding and merging."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from raydet.layers.base_module import BaseModule
from raydet.layers.factory import Cfg, build_conv_layer, build_norm_layer
from raydet.layers.initializers import InitCfg
from raydet.layers.padding import AdaptivePadding

Size = tuple[int, int]
Pair = int | tuple[int, int]
_LN: Cfg = {"type": "LN"}


def nlc_to_nchw(x: Tensor, hw_shape: Size) -> Tensor:
    """Map a sequence `(N, H * W, C)` to `(N, C, H, W)`."""
    if x.shape[1] != hw_shape[0] * hw_shape[1]:
        raise ValueError(f"a sequence of {x.shape[1]} tokens is no map of {hw_shape[0]} x {hw_shape[1]}")
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], *hw_shape)


def nchw_to_nlc(x: Tensor) -> Tensor:
    """Map `(N, C, H, W)` to a sequence `(N, H * W, C)`."""
    return x.flatten(2).transpose(1, 2).contiguous()


class PatchEmbed(BaseModule):
    """Turn an image into a sequence of embedded patches.

    Args:
        in_channels: channels of the images.
        embed_dims: channels of the sequence.
        conv_type: type of the convolution `projection`.
        kernel_size: size of a patch.
        stride: distance of patches.
        padding: "corner" and "same" pad as far as needed, see `AdaptivePadding`; a number always pads so much.
        dilation: spacing of the pixels of a patch.
        bias: whether the projection has a bias.
        norm_cfg: normalisation `norm` of the sequence, or None.
        input_size: size of the images; with it, `init_input_size` and `init_out_size` tell sizes before and after.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 768,
        conv_type: str = "Conv2d",
        kernel_size: Pair = 16,
        stride: Pair | None = 16,
        padding: Pair | str = "corner",
        dilation: Pair = 1,
        bias: bool = True,
        norm_cfg: Cfg | None = None,
        input_size: Pair | None = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        stride = kernel_size if stride is None else stride
        self.adap_padding, padding = _padding(kernel_size, stride, dilation, padding)
        self.projection: Any = build_conv_layer(
            {"type": conv_type},
            in_channels,
            embed_dims,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
        )
        self.norm = build_norm_layer(norm_cfg, embed_dims)[1] if norm_cfg is not None else None
        self.init_input_size: Size | None = None
        self.init_out_size: Size | None = None
        if input_size is not None:
            height, width = self.init_input_size = _pair(input_size)
            if self.adap_padding is not None:
                rows, columns = self.adap_padding.get_pad_shape((height, width))
                height, width = self.init_input_size = (height + rows, width + columns)
            self.init_out_size = _slides((height, width), self.projection)

    def forward(self, x: Tensor) -> tuple[Tensor, Size]:
        """Map `(N, in_channels, H, W)` to `(N, h * w, embed_dims)` and `(h, w)`."""
        if self.adap_padding is not None:
            x = self.adap_padding(x)
        x = self.projection(x)
        size = (x.shape[2], x.shape[3])
        x = nchw_to_nlc(x)
        return (x if self.norm is None else self.norm(x)), size


class PatchMerging(BaseModule):
    """Merge neighbouring tokens: gather, normalise (`norm`), reduce (`reduction`) (arXiv:2103.14030).

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: size of the neighbourhood.
        stride: distance of neighbourhoods; `kernel_size` when None.
        padding: see `PatchEmbed`.
        dilation: spacing of the neighbours.
        bias: whether the reduction has a bias.
        norm_cfg: normalisation, or None.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair = 2,
        stride: Pair | None = None,
        padding: Pair | str = "corner",
        dilation: Pair = 1,
        bias: bool = False,
        norm_cfg: Cfg | None = _LN,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        stride = kernel_size if stride is None else stride
        self.adap_padding, padding = _padding(kernel_size, stride, dilation, padding)
        size: Size = _pair(kernel_size)
        self.sampler = nn.Unfold(size, _pair(dilation), _pair(padding), _pair(stride))
        gathered = size[0] * size[1] * in_channels
        self.norm = build_norm_layer(norm_cfg, gathered)[1] if norm_cfg is not None else None
        self.reduction = nn.Linear(gathered, out_channels, bias=bias)

    def forward(self, x: Tensor, input_size: Size) -> tuple[Tensor, Size]:
        """Map `(N, H * W, in_channels)` and `(H, W)` to `(N, h * w, out_channels)` and `(h, w)`."""
        x = nlc_to_nchw(x, input_size)
        if self.adap_padding is not None:
            x = self.adap_padding(x)
        size = _slides((x.shape[2], x.shape[3]), self.sampler)
        x = self.sampler(x).transpose(1, 2)
        x = x if self.norm is None else self.norm(x)
        return self.reduction(x), size


def _padding(
    kernel_size: Pair, stride: Pair, dilation: Pair, padding: Pair | str
) -> tuple[AdaptivePadding | None, Pair]:
    """The layer that pads, or None, and what is left for the sliding window to pad."""
    if not isinstance(padding, str):
        return None, padding
    return AdaptivePadding(kernel_size, stride, dilation, padding), 0


def _slides(size: Size, window: Any) -> Size:
    """Number of places of a sliding window along both axes."""
    axes = zip(
        size, *(_pair(getattr(window, name)) for name in ("kernel_size", "stride", "padding", "dilation")), strict=True
    )
    height, width = ((length + 2 * pad - gap * (kernel - 1) - 1) // step + 1 for length, kernel, step, pad, gap in axes)
    return height, width
