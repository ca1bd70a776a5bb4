"""Batch normalisation whose statistics are taken over all workers."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation of `(N, C, ...)` over the values of all workers, on any device.

    Without a process group, or in eval mode, it is ordinary batch normalisation. It is not torch's class of this name
    because that one, and DDP for its sake, refuse CPU workers.

    Args:
        num_features: channels C.
        eps: added to the variance.
        momentum: weight of a batch in the running statistics; None for their plain average.
        affine: learn a scale and a shift.
        track_running_stats: keep running statistics for eval mode.
        process_group: the workers to average over; all of them when None.
        device: where the parameters live.
        dtype: of the parameters.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device=device, dtype=dtype)
        self.process_group = process_group

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected an input of at least 2 dimensions, got shape {tuple(input.shape)}")

    def _share(self, input: Tensor) -> int:
        """Weight of this worker's moments in the common ones."""
        return input.numel() // self.num_features

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and _world_size(self.process_group) > 1):
            return super().forward(input)
        self._check_input_dim(input)
        mean, variance, count, pull = self._common_moments(input.detach())
        if self.track_running_stats:
            self._track(mean, variance * count / (count - 1).clamp(min=1))
        scale = (variance + self.eps).rsqrt()
        normal: Tensor = _Normalised.apply(input, mean, scale, pull, self.process_group)
        if self.affine:
            shape = (1, -1, *[1] * (input.dim() - 2))
            normal = torch.addcmul(self.bias.view(shape), normal, self.weight.view(shape))
        return normal.to(input.dtype)

    def _common_moments(self, input: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean and biased variance `(C,)` over all workers, the number of values behind them, and the weight in them
        of each value of this worker.
        """
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        axes, count = _axes(input), input.numel() // self.num_features
        if count:
            variance, mean = torch.var_mean(values, axes, correction=0)
        else:  # nothing to say, but the collective waits for every worker
            variance = mean = values.sum(axes)
        own = torch.cat([mean, variance, mean.new_tensor([self._share(input), count])])
        means, variances, rest = torch.split(_gather(own, self.process_group), [len(mean), len(mean), 2], dim=1)
        share = rest[:, :1] / rest[:, :1].sum()
        mean = (share * means).sum(0)
        variance = (share * (variances + (means - mean) ** 2)).sum(0)
        return mean, variance, rest[:, 1].sum(), share[_rank(self.process_group), 0] / max(count, 1)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked += 1
        rate = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        self.running_var.lerp_(variance.to(self.running_var.dtype), rate)


class MMSyncBatchNorm(SyncBatchNorm):
    """The variant called MMSyncBN, which weighs workers rather than pixels.

    Args:
        num_features: channels C.
        eps: added to the variance.
        momentum: weight of a batch in the running statistics.
        affine: learn a scale and a shift.
        track_running_stats: keep running statistics for eval mode.
        group: the workers to average over; all of them when None.
        stats_mode: "default": every worker with values counts the same; "N": by its number of samples.
    """

    _abbr_ = "bn"

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        group: Any = None,
        stats_mode: str = "default",
    ) -> None:
        if stats_mode not in ("default", "N"):
            raise ValueError(f"stats_mode must be 'default' or 'N', got {stats_mode!r}")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, process_group=group)
        self.stats_mode = stats_mode

    def _share(self, input: Tensor) -> int:
        samples = input.shape[0]
        return samples if self.stats_mode == "N" else min(samples, 1)


def _world_size(group: Any) -> int:
    return dist.get_world_size(group) if dist.is_available() and dist.is_initialized() else 1


def _rank(group: Any) -> int:
    return dist.get_rank(group)


def _axes(input: Tensor) -> list[int]:
    """All axes but that of the channels."""
    return [0, *range(2, input.dim())]


def _gather(row: Tensor, group: Any) -> Tensor:
    """The rows of all workers, `(workers, len(row))`, as a sum, which all backends know, of rows zero elsewhere."""
    rows = row.new_zeros(_world_size(group), len(row))
    rows[_rank(group)] = row
    dist.all_reduce(rows, group=group)
    return rows


class _Normalised(torch.autograd.Function):
    """`(input - mean) * scale` whose gradient knows that every value of every worker has a part in mean and scale.

    Written out, since autograd would keep four maps for each layer where the input suffices.
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor, mean: Tensor, scale: Tensor, pull: Tensor, group: Any) -> Tensor:
        ctx.save_for_backward(input, mean, scale, pull)
        ctx.group = group
        return _normalise(input, mean, scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        input, mean, scale, pull = ctx.saved_tensors
        normal, axes = _normalise(input, mean, scale), _axes(input)
        sums = torch.stack([grad.sum(axes), (grad * normal).sum(axes)])
        dist.all_reduce(sums, group=ctx.group)
        shape = (1, -1, *[1] * (input.dim() - 2))
        common = (pull * sums).view(2, *shape)
        return ((grad - common[0] - normal * common[1]) * scale.view(shape)).to(input.dtype), None, None, None, None


def _normalise(input: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    shape = (1, -1, *[1] * (input.dim() - 2))
    return (input - mean.view(shape)) * scale.view(shape)
