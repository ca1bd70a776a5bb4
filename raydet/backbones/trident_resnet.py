"""The ResNet of TridentNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.backbones.resnet import ResNet
from raydet.layers import Bottleneck, deep_stages


class TridentConv(nn.Conv2d):
    """One kernel that runs with several dilations, each on its share of the batch.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: size of the kernel.
        stride: stride.
        trident_dilations: dilation, and padding, of each branch.
        test_branch_idx: the branch that runs outside training; -1 for all of them.
        bias: whether there is a bias.
        padding: of no effect.
        dilation: of no effect.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        trident_dilations: Sequence[int] = (1, 2, 3),
        test_branch_idx: int = 1,
        bias: bool = False,
        padding: int = 0,
        dilation: int = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, bias=bias)
        self.trident_dilations = tuple(trident_dilations)
        self.test_branch_idx = test_branch_idx

    def branches(self) -> tuple[int, ...]:
        """Dilations of the branches that run now."""
        if self.training or self.test_branch_idx == -1:
            return self.trident_dilations
        return (self.trident_dilations[self.test_branch_idx],)

    def forward(self, input: Tensor) -> Tensor:
        """Map `(B * N, in_channels, H, W)`, branch after branch, to `(B * N, out_channels, h, w)`."""
        dilations = self.branches()
        shares = zip(input.chunk(len(dilations)), dilations, strict=True)
        return torch.cat([F.conv2d(x, self.weight, self.bias, self.stride, rate, rate) for x, rate in shares])


class TridentResNet(ResNet):
    """ResNet whose last stage, the third, has a branch for each of several dilations (arXiv:1901.01892).

    In training, and with `test_branch_idx=-1`, the map of the last stage has `num_branch` times the images: all images
    of the first branch, then those of the second. Batch normalisations that are not held see all branches at once.

    Args:
        depth: 50, 101 or 152.
        num_branch: number of branches.
        test_branch_idx: the branch that runs outside training; -1 for all of them.
        trident_dilations: dilation of each branch.
        kwargs: other arguments of `ResNet`; `num_stages` is 3.
    """

    arch_settings = deep_stages(Bottleneck)

    def __init__(
        self, depth: int, num_branch: int, test_branch_idx: int, trident_dilations: Sequence[int], **kwargs: Any
    ) -> None:
        if num_branch != len(trident_dilations):
            raise ValueError(f"trident_dilations needs num_branch = {num_branch} entries, got {trident_dilations!r}")
        if kwargs.get("num_stages") != 3:
            raise ValueError(f"num_stages of a TridentResNet must be 3, got {kwargs.get('num_stages', 4)!r}")
        self.num_branch = num_branch
        self.test_branch_idx = test_branch_idx
        self.trident_dilations = tuple(trident_dilations)
        super().__init__(depth, **kwargs)

    def stage_options(self, index: int) -> dict[str, Any]:
        """The kind of the 3x3 convolutions in the last stage."""
        if index < 2:
            return {}
        options = {"trident_dilations": self.trident_dilations, "test_branch_idx": self.test_branch_idx}
        return {"middle_cfg": {"type": TridentConv, **options}}

    def _run_stage(self, index: int, x: Tensor) -> Tensor:
        if index == self.num_stages - 1:
            last: Any = self.get_submodule(self.res_layers[index])
            x = x.repeat(len(last[0].conv2.branches()), 1, 1, 1)
        return super()._run_stage(index, x)
