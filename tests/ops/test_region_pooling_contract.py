"""Pooling of regions: the contract of every operator, against sums over samples and pixels spelled out."""

from __future__ import annotations

import importlib
import math
from itertools import pairwise

import pytest
import torch
from op_contract import OpContract
from raydet_ops import deform_roi_pool, prroi_pool, roi_align, roi_pool, serves
from raydet_ops._regions import pair

NAN, INF = float("nan"), float("inf")


def maps(dtype=torch.float32, images=2, channels=3):
    count = images * channels * 12 * 20
    # No two pixels are equal: a maximum has one place.
    values = torch.linspace(-2, 2, max(count, 1))[torch.randperm(count, generator=torch.Generator().manual_seed(0))]
    return values.view(images, channels, 12, 20).to(dtype)


def regions(dtype=torch.float32):
    rows = [[0, 1, 2, 30, 20], [1, -9, -7, 25, 41], [1, 3, 5, 4, 6.5], [0, 20, 10, 90, 60], [0, 300, 300, 310, 320]]
    return torch.tensor(rows, dtype=torch.float32).to(dtype)


def odd_regions():
    rows = [[0, NAN, 0, 9, 9], [0, 0, 0, INF, 9], [0, -INF, 0, 9, INF], [NAN, 0, 0, 9, 9], [7, 0, 0, 9, 9]]
    rows += [[-1, 0, 0, 9, 9], [INF, 0, 0, 9, 9], [0, 9, 9, 0, 0]]
    if serves("roi_align", "cpu") == "cpp":  # the plain versions need memory for every sample
        rows += [[0, 0, 0, 1e9, 1e9], [0, -1e30, 0, 1e30, 9]]
    return torch.tensor(rows)


def at(plane, y, x):
    """Bilinear value of a plane at a place, written out."""
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return plane.new_zeros(())
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = (1 - dx) * plane[top, left] + dx * plane[top, right]
    return (1 - dy) * upper + dy * ((1 - dx) * plane[bottom, left] + dx * plane[bottom, right])


def pool_samples(input, rois, size, scale, ratio, reduce, aligned=True, shifts=None, gamma=0.0):
    """RoIAlign, sample by sample."""
    h, w = pair(size)
    result = input.new_zeros(len(rois), input.shape[1], h, w)
    for r, (image, *corners) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (value * scale - 0.5 * aligned for value in corners)
        tall, wide = y2 - y1, x2 - x1
        if not aligned:
            tall, wide = max(tall, 1), max(wide, 1)
        rows, columns = (ratio or math.ceil(tall / h)), (ratio or math.ceil(wide / w))
        for c in range(input.shape[1]):
            for p in range(h):
                for q in range(w):
                    dx, dy = (0, 0) if shifts is None else (shifts[r, :, p, q] * gamma).tolist()
                    values = [
                        at(
                            input[int(image), c],
                            y1 + dy * tall + (p + (i + 0.5) / rows) * tall / h,
                            x1 + dx * wide + (q + (j + 0.5) / columns) * wide / w,
                        )
                        for i in range(rows)
                        for j in range(columns)
                    ]
                    result[r, c, p, q] = reduce(torch.stack(values))
    return result


class RegionContract(OpContract):
    differentiable = (0,)
    options: tuple = ()

    def inputs(self, dtype=torch.float32):
        return maps(dtype), regions(dtype), *self.options

    def empty_inputs(self):
        no_image = (maps(images=0), torch.zeros(0, 5), *self.options)
        return [(maps(), torch.zeros(0, 5), *self.options), no_image, (maps(channels=0), regions(), *self.options)]

    def odd_inputs(self):
        return [(maps(), odd_regions(), *self.options), (maps() * NAN, regions(), *self.options)]

    def wrong_inputs(self):
        return [
            ((maps(), regions()[:, 1:], *self.options), "image index"),
            ((maps()[0], regions(), *self.options), "input"),
            ((maps(), regions().long(), *self.options), "rois"),
            ((maps(), regions().to("meta"), *self.options), "device"),
        ]

    def large_inputs(self):
        generator = torch.Generator().manual_seed(1)
        corners = torch.rand(150, 2, generator=generator) * 60
        sides = torch.rand(150, 2, generator=generator) * 90
        rois = torch.cat([torch.arange(150.0)[:, None] % 2, corners, corners + sides], dim=1)
        return torch.randn(2, 16, 30, 40, generator=generator), rois, *self.options

    def test_regions_that_cannot_be_read_are_zero(self):
        pooled = self.public(maps(), odd_regions(), *self.options)
        assert not pooled[:7].any()

    def test_the_plain_version_agrees(self, plain):
        inputs = self.inputs(torch.float64)
        given = inputs[0].clone().requires_grad_()
        ours, theirs = self.operator(given, *inputs[1:]), plain(self.operator, given, *inputs[1:])
        torch.testing.assert_close(ours, theirs)
        seed = torch.linspace(-1, 1, ours.numel(), dtype=ours.dtype).view_as(ours)
        gradients = [torch.autograd.grad(result, given, seed)[0] for result in (ours, theirs)]
        torch.testing.assert_close(*gradients)


@pytest.fixture
def plain():
    """Calls what serves an operator where it has no kernel, under autograd."""

    def call(operator, *inputs):
        name = operator.name().partition("::")[2].partition(".")[0]
        return importlib.import_module(f"raydet_ops.{'roi' if name == 'roi_align' else name}")._plain(*inputs)

    return call


class RoIAlignContract(RegionContract):
    operator = torch.ops.raydet.roi_align.default

    @staticmethod
    def public(input, rois, height, width, scale, ratio, aligned, maximum):
        return roi_align(input, rois, (height, width), scale, ratio, "max" if maximum else "avg", aligned)

    @staticmethod
    def reference(input, rois, height, width, scale, ratio, aligned, maximum):
        reduce = torch.max if maximum else torch.mean
        return pool_samples(input, rois, (height, width), scale, ratio, reduce, aligned)


class TestRoIAlign(RoIAlignContract):
    options = (3, 4, 0.25, 0, True, False)


class TestRoIAlignOldStyle(RoIAlignContract):
    options = (2, 2, 0.5, 2, False, False)


class TestRoIAlignWithFewSamples(RoIAlignContract):
    options = (2, 3, 0.25, 1, True, False)  # columns so far apart that they are read singly


class TestRoIAlignMax(RoIAlignContract):
    options = (2, 3, 0.25, 2, True, True)


class TestRoIAlignMaxAdaptive(RoIAlignContract):
    options = (2, 2, 0.5, 0, False, True)


class TestRoIPool(RegionContract):
    operator = torch.ops.raydet.roi_pool.default
    options = (2, 3, 0.25)

    @staticmethod
    def public(input, rois, height, width, scale):
        return roi_pool(input, rois, (height, width), scale)

    @staticmethod
    def reference(input, rois, height, width, scale):
        result = input.new_zeros(len(rois), input.shape[1], height, width)
        for r, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
            tall, wide = (y2 + 1 - y1) * scale / height, (x2 + 1 - x1) * scale / width
            for p in range(height):
                for q in range(width):
                    top, bottom = math.floor(y1 * scale + p * tall), math.ceil(y1 * scale + (p + 1) * tall)
                    left, right = math.floor(x1 * scale + q * wide), math.ceil(x1 * scale + (q + 1) * wide)
                    window = input[int(image), :, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
                    if window.numel():
                        result[r, :, p, q] = window.amax(dim=(1, 2))
        return result


class TestPrRoIPool(RegionContract):
    operator = torch.ops.raydet.prroi_pool.default
    options = (2, 3, 0.25)

    @staticmethod
    def public(input, rois, height, width, scale):
        return prroi_pool(input, rois, (height, width), scale)

    @staticmethod
    def reference(input, rois, height, width, scale):
        """Between two pixels the interpolation is linear: its integral is its middle times the length."""
        result = input.new_zeros(len(rois), input.shape[1], height, width)
        padded = torch.nn.functional.pad(input, (1, 1, 1, 1))
        for r, (image, *corners) in enumerate(rois.tolist()):
            x1, y1, x2, y2 = (value * scale for value in corners)
            for p in range(height):
                rows = pieces(y1 + p * (y2 - y1) / height, y1 + (p + 1) * (y2 - y1) / height)
                for q in range(width):
                    columns = pieces(x1 + q * (x2 - x1) / width, x1 + (q + 1) * (x2 - x1) / width)
                    area = (y2 - y1) / height * (x2 - x1) / width
                    for c in range(input.shape[1]):
                        plane = padded[int(image), c]
                        total = sum(m * n * within(plane, y + 1, x + 1) for y, m in rows for x, n in columns)
                        result[r, c, p, q] = total / area
        return result

    def test_regions_have_a_gradient_too(self):
        rois = regions(torch.float64)[:3]

        def pool(corners):
            return prroi_pool(maps(torch.float64), torch.cat([rois[:, :1], corners], dim=1), 2, 0.23)

        assert torch.autograd.gradcheck(pool, (rois[:, 1:].requires_grad_(),))


def within(plane, y, x):
    return at(plane, y, x) if 0 <= y <= plane.shape[0] - 1 and 0 <= x <= plane.shape[1] - 1 else 0.0


def pieces(low, high):
    """Middles and lengths of the parts of an interval between whole numbers."""
    borders = [low, *range(math.floor(low) + 1, math.ceil(high)), high]
    return [((a + b) / 2, b - a) for a, b in pairwise(borders)]


class TestDeformRoIPool(RegionContract):
    operator = torch.ops.raydet.deform_roi_pool.default
    differentiable = (0, 2)
    options = (2, 3, 0.25, 2, 0.1)

    @staticmethod
    def public(input, rois, offset, height, width, scale, ratio, gamma):
        return deform_roi_pool(input, rois, offset, (height, width), scale, ratio, gamma)

    @staticmethod
    def reference(input, rois, offset, height, width, scale, ratio, gamma):
        return pool_samples(input, rois, (height, width), scale, ratio, torch.mean, True, offset, gamma)

    def shifted(self, input, rois):
        count = len(rois) * 12
        return input, rois, torch.linspace(-3, 2, max(count, 1))[:count].view(-1, 2, 2, 3).to(input), *self.options

    def inputs(self, dtype=torch.float32):
        return self.shifted(maps(dtype), regions(dtype))

    def empty_inputs(self):
        return [self.shifted(maps(), torch.zeros(0, 5)), self.shifted(maps(channels=0), regions())]

    def odd_inputs(self):
        input, rois, offset, *rest = self.inputs()
        return [self.shifted(maps(), odd_regions()), *((input, rois, offset * x, *rest) for x in (NAN, INF, 1e30))]

    def wrong_inputs(self):
        input, rois, offset, *rest = self.inputs()
        return [((input, rois, offset[1:], *rest), "offset"), ((input, rois[:, 1:], offset, *rest), "image index")]

    def large_inputs(self):
        return self.shifted(*super().large_inputs()[:2])

    def test_regions_that_cannot_be_read_are_zero(self):
        pooled = self.public(*self.shifted(maps(), odd_regions()))
        assert not pooled[:7].any()

    def test_without_offset_it_is_roi_align(self):
        input, rois, _, *rest = self.inputs()
        torch.testing.assert_close(
            self.public(input, rois, None, *rest), roi_align(input, rois, (2, 3), 0.25, rest[3], "avg", True)
        )


class TestDeformRoIPoolAdaptive(TestDeformRoIPool):
    options = (2, 3, 0.25, 0, 0.1)
