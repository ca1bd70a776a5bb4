"""Non-local blocks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raydet.layers.conv_module import RELU, ConvModule
from raydet.layers.factory import Cfg
from raydet.layers.init_functions import constant_init, normal_init

_CONV: Cfg = {"type": "Conv2d"}
_MODES = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")


class NonLocal2d(nn.Module):
    """Add to every pixel a mean over all pixels, weighted by how they fit (arXiv:1711.07971).

    Args:
        in_channels: channels of input and output.
        sub_sample: average over the maxima of 2x2 squares.
        conv_cfg: type of the convolutions.
        reduction: `in_channels` divided by the channels in between.
        use_scale: divide products by the root of their length, in mode "embedded_gaussian".
        norm_cfg: normalisation of the output.
        mode: "gaussian", "embedded_gaussian", "dot_product" or "concatenation".
        zeros_init: start as the identity.
    """

    _abbr_ = "nonlocal_block"

    def __init__(
        self,
        in_channels: int,
        sub_sample: bool = False,
        conv_cfg: Cfg = _CONV,
        reduction: int = 2,
        use_scale: bool = True,
        norm_cfg: Cfg | None = None,
        mode: str = "embedded_gaussian",
        zeros_init: bool = True,
    ) -> None:
        super().__init__()
        if mode not in _MODES:
            raise ValueError(f"mode of a non-local block must be one of {_MODES}, got {mode!r}")
        self.use_scale = use_scale
        self.mode = mode
        inner = max(in_channels // reduction, 1)
        plain: dict[str, Any] = {"conv_cfg": conv_cfg, "act_cfg": None}
        self.g: nn.Module = ConvModule(in_channels, inner, 1, **plain)
        self.conv_out = ConvModule(inner, in_channels, 1, norm_cfg=norm_cfg, **plain)
        self.theta: nn.Module = nn.Identity()
        self.phi: nn.Module = nn.Identity()
        if mode != "gaussian":
            self.theta = ConvModule(in_channels, inner, 1, **plain)
            self.phi = ConvModule(in_channels, inner, 1, **plain)
        if mode == "concatenation":
            self.concat_project = ConvModule(2 * inner, 1, 1, bias=False, act_cfg=RELU)
        self.init_weights(zeros_init=zeros_init)
        if sub_sample:
            self.g = nn.Sequential(self.g, nn.MaxPool2d(2))
            self.phi = nn.MaxPool2d(2) if mode == "gaussian" else nn.Sequential(self.phi, nn.MaxPool2d(2))

    def init_weights(self, std: float = 0.01, zeros_init: bool = True) -> None:
        """Narrow normal draws, and zero for the output with `zeros_init`."""
        for part in (self.g, self.theta, self.phi):
            for module in part.modules():
                if isinstance(module, nn.Conv2d):
                    normal_init(module, std=std)
        last: nn.Module = self.conv_out.conv if self.conv_out.norm is None else self.conv_out.norm
        if zeros_init:
            constant_init(last, 0)
        else:
            normal_init(last, std=std)

    def _weights(self, x: Tensor) -> Tensor:
        """How pixels fit, `(N, H * W, h * w)`."""
        theta: Tensor = self.theta(x).flatten(2)
        phi: Tensor = self.phi(x).flatten(2)
        if self.mode == "concatenation":
            pairs = torch.cat(
                [
                    theta.unsqueeze(3).expand(-1, -1, -1, phi.shape[2]),
                    phi.unsqueeze(2).expand(-1, -1, theta.shape[2], -1),
                ],
                dim=1,
            )
            scores: Tensor = self.concat_project(pairs).squeeze(1)
            return scores / phi.shape[2]
        products = theta.transpose(1, 2) @ phi
        if self.mode == "dot_product":
            return products / phi.shape[2]
        if self.mode == "embedded_gaussian" and self.use_scale:
            products = products / theta.shape[1] ** 0.5
        return products.softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        values = self.g(x).flatten(2).transpose(1, 2)
        gathered = (self._weights(x) @ values).transpose(1, 2)
        out: Tensor = x + self.conv_out(gathered.reshape(*gathered.shape[:2], *x.shape[2:]))
        return out
