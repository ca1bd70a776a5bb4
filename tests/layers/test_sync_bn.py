from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from raydet.layers import MMSyncBatchNorm, SyncBatchNorm
from raydet.registry import LAYERS


@pytest.mark.parametrize("kind", ["SyncBN", "MMSyncBN"])
@pytest.mark.parametrize("training", [True, False])
def test_without_process_group_it_is_batch_norm(kind, training):
    layer = LAYERS.build(dict(type=kind, num_features=3)).train(training)
    twin = nn.BatchNorm2d(3).train(training)
    x = torch.randn(4, 3, 5, 5)
    assert torch.equal(layer(x), twin(x))
    assert layer.state_dict().keys() == twin.state_dict().keys()
    assert torch.equal(layer.running_var, twin.running_var)


def test_wrong_stats_mode_raises():
    with pytest.raises(ValueError, match="stats_mode"):
        MMSyncBatchNorm(3, stats_mode="mean")


LIMIT = timedelta(seconds=120)


def _sample(rank):
    return torch.randn(2 + rank, 3, 4, 4, generator=torch.Generator().manual_seed(rank)).add(1).requires_grad_()


def _worker(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2, timeout=LIMIT)
    x = _sample(rank)
    layer = SyncBatchNorm(3)
    y = nn.parallel.DistributedDataParallel(layer)(x)
    (y * torch.arange(y.numel()).view_as(y).cos()).sum().backward()
    even = MMSyncBatchNorm(3)
    each = x.detach().requires_grad_()
    (even(each) * torch.arange(y.numel()).view_as(y).cos()).sum().backward()
    # One worker without values: the other one decides, and nobody hangs.
    alone = SyncBatchNorm(3)
    alone(x.detach()[: 2 * rank])
    torch.save(
        (y.detach(), x.grad, layer.running_mean, layer.running_var, even.running_mean, alone.running_mean, each.grad),
        f"{folder}/{rank}.pth",
    )
    dist.destroy_process_group()


def _gradients_where_every_worker_counts_the_same(samples):
    means = torch.stack([each.mean((0, 2, 3)) for each in samples])
    mean = means.mean(0)
    variance = (torch.stack([each.var((0, 2, 3), correction=0) for each in samples]) + (means - mean) ** 2).mean(0)
    scale = (variance + 1e-5).rsqrt().view(1, 3, 1, 1)
    outs = [(each - mean.view(1, 3, 1, 1)) * scale for each in samples]
    sum((y * torch.arange(y.numel()).view_as(y).cos()).sum() for y in outs).backward()
    return [each.grad for each in samples]


def test_two_workers_see_the_statistics_of_the_joint_batch(tmp_path):
    other = mp.get_context("spawn").Process(target=_worker, args=(0, str(tmp_path)))
    other.start()
    _worker(1, str(tmp_path))
    other.join()
    parts = [torch.load(tmp_path / f"{rank}.pth") for rank in range(2)]
    samples = [_sample(rank) for rank in range(2)]
    twin = nn.BatchNorm2d(3)
    outs = twin(torch.cat(samples)).split([2, 3])
    sum((y * torch.arange(y.numel()).view_as(y).cos()).sum() for y in outs).backward()
    gradients = _gradients_where_every_worker_counts_the_same([_sample(rank) for rank in range(2)])
    for (y, grad, mean, var, even, alone, of_even), sample, out, other in zip(
        parts, samples, outs, gradients, strict=True
    ):
        assert torch.allclose(of_even, other, rtol=0, atol=1e-6)
        assert torch.allclose(y, out, rtol=0, atol=1e-6)
        assert torch.allclose(grad, sample.grad, rtol=0, atol=1e-6)
        assert torch.allclose(mean, twin.running_mean, rtol=0, atol=1e-6)
        assert torch.allclose(var, twin.running_var, rtol=0, atol=1e-6)
        per_worker = torch.stack([each.detach().mean((0, 2, 3)) for each in samples]).mean(0)
        assert torch.allclose(even, 0.1 * per_worker)
        assert torch.allclose(alone, 0.1 * samples[1][:2].detach().mean((0, 2, 3)))
