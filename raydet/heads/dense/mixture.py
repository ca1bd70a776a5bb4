"""Which candidates of an object do well: a mixture of two normal distributions over their losses (arXiv:2007.08103)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

COVARIANCES = ("diag", "spherical", "full", "tied")
MAX_STEPS = 100
# Change of the mean log likelihood at which a fit ends.
TOLERANCE = 1e-3
SMALLEST_VARIANCE = 1e-6


@torch.no_grad()
def probable(losses: Tensor, owner: Tensor, level: Tensor, topk: int, covariance_type: str = "diag") -> Tensor:
    """Which candidates belong to the better one of the two groups that their object's best candidates form.

    Args:
        losses: `(P,)` of all candidates.
        owner: `(P,)` int64, the object of each.
        level: `(P,)` int64, the feature level of each.
        topk: candidates of each object and level that form the groups.
        covariance_type: `tied` when both groups share their variance; the others say the same of single numbers.

    Returns:
        `(P,)` bool. An object with less than two candidates keeps none.
    """
    kept = torch.zeros_like(losses, dtype=torch.bool)
    if len(losses) == 0:
        return kept
    best = (places(losses, owner * (level.max() + 1) + level) < topk).nonzero().squeeze(1)
    _, row = torch.unique(owner[best], return_inverse=True)
    column = places(losses[best], row)
    # Many steps over few numbers: on the CPU, in the precision that the end of the fit needs.
    table = torch.full((int(row.max()) + 1, int(column.max()) + 1), torch.inf, dtype=torch.float64)
    table[row.cpu(), column.cpu()] = losses[best].cpu().double()
    kept[best] = better_group(table, covariance_type).to(losses.device)[row, column]
    return kept


def places(values: Tensor, groups: Tensor) -> Tensor:
    """`(P,)` how many members of its group each value has before it, in rising order."""
    order = values.argsort(stable=True)
    order = order[groups[order].argsort(stable=True)]
    ordered = groups[order]
    place = torch.arange(len(values), device=values.device) - torch.searchsorted(ordered, ordered)
    return torch.empty_like(place).scatter_(0, order, place)


def better_group(values: Tensor, covariance_type: str = "diag") -> Tensor:
    """Members of the lower group up to where it is densest.

    Args:
        values: `(G, M)` float64, in every row rising and filled up with infinity.
        covariance_type: see `probable`.

    Returns:
        `(G, M)` bool.
    """
    given = values.isfinite()
    log_joint = fit_two_normals(values, covariance_type)
    lower = given & (log_joint[..., 0] >= log_joint[..., 1])
    density = log_joint.logsumexp(-1).masked_fill(~lower, -torch.inf)
    before = torch.arange(values.shape[1]) <= density.argmax(1, keepdim=True)
    return lower & before & (given.sum(1, keepdim=True) > 1)


def fit_two_normals(values: Tensor, covariance_type: str = "diag") -> Tensor:
    """Fit a mixture of two normal distributions to each row by expectation maximisation.

    It starts from the extremes of the row with variance 1 and ends after 100 steps at the latest.

    Args:
        values: `(G, M)` float64; what is not finite is not there.
        covariance_type: see `probable`.

    Returns:
        `(G, M, 2)` logarithms of the weighted densities.
    """
    given = values.isfinite()
    x = values.masked_fill(~given, 0.0)[..., None]
    means = torch.stack([values.amin(1), values.masked_fill(~given, -torch.inf).amax(1)], dim=1)
    weights, variances = torch.full_like(means, 0.5), torch.ones_like(means)
    reached, open_ = torch.full_like(means[:, :1], -torch.inf), torch.ones_like(means[:, :1], dtype=torch.bool)
    for _ in range(MAX_STEPS):
        log_joint = _log_joint(x, weights, means, variances)
        total = log_joint.logsumexp(-1, keepdim=True)
        likelihood = (total.squeeze(-1) * given).sum(1, keepdim=True) / given.sum(1, keepdim=True)
        share = (log_joint - total).exp() * given[..., None]
        fitted = _fit(x, share, covariance_type)
        weights, means, variances = (
            torch.where(open_, new, old) for new, old in zip(fitted, (weights, means, variances), strict=True)
        )
        open_ = open_ & ((likelihood - reached).abs() >= TOLERANCE)
        reached = likelihood
        if not open_.any():
            break
    return _log_joint(x, weights, means, variances)


def _log_joint(x: Tensor, weights: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """`(G, M, 2)` from values `(G, M, 1)` and parameters `(G, 2)`."""
    means, variances = means[:, None], variances[:, None]
    distance = (_square(x) - 2 * x * means + means.square()) / variances
    return weights.log()[:, None] - 0.5 * (distance + variances.log() + math.log(2 * math.pi))


def _fit(x: Tensor, share: Tensor, covariance_type: str) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, means and variances `(G, 2)` when each value belongs to the groups by `share` `(G, M, 2)`."""
    count = share.sum(1) + 10 * torch.finfo(share.dtype).eps
    means = (share * x).sum(1) / count
    variances = (share * _square(x)).sum(1) / count - means.square()
    if covariance_type == "tied":
        variances = ((count * variances).sum(1, keepdim=True) / count.sum(1, keepdim=True)).expand_as(means)
    variances = (variances + SMALLEST_VARIANCE).clamp(min=SMALLEST_VARIANCE)
    return count / count.sum(1, keepdim=True), means, variances


def _square(x: Tensor) -> Tensor:
    """Squares rounded to float32, as in 2.x: where a group hardly varies, their rounding is its variance."""
    return x.float().square().double()
