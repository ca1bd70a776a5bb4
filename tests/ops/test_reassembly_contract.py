import itertools

import torch
from op_contract import OpContract
from raydet_ops import carafe


def spelled_out(features, masks, kernel_size, group_size, scale_factor):
    """The formula of arXiv:1905.02188, pixel by pixel."""
    num_images, channels, height, width = features.shape
    out = features.new_zeros(num_images, channels, height * scale_factor, width * scale_factor)
    reach, share = kernel_size // 2, channels // group_size
    for c, y, x in itertools.product(*map(range, out.shape[1:])):
        for tap, (i, j) in enumerate(itertools.product(range(-reach, reach + 1), repeat=2)):
            row, column = y // scale_factor + i, x // scale_factor + j
            if 0 <= row < height and 0 <= column < width:
                weight = masks[:, c // share * kernel_size**2 + tap, y, x]
                out[:, c, y, x] += weight * features[:, c, row, column]
    return out


class TestCarafe(OpContract):
    operator = torch.ops.raydet.carafe.default
    public = staticmethod(carafe)
    reference = staticmethod(spelled_out)
    differentiable = (0, 1)

    def inputs(self, dtype=torch.float32, channels=4, groups=2):
        generator = torch.Generator().manual_seed(0)
        features = torch.randn(2, channels, 2, 3, generator=generator).to(dtype)
        masks = torch.rand(2, groups * 9, 4, 6, generator=generator).to(dtype)
        return features, masks, 3, groups, 2

    def test_any_number_of_channels(self):
        for channels, groups in ((1, 1), (32, 1), (43, 1), (80, 2)):
            inputs = self.inputs(torch.float64, channels, groups)
            torch.testing.assert_close(carafe(*inputs), spelled_out(*inputs))

    def test_rows_longer_than_a_tile(self):
        features, masks = torch.randn(1, 2, 2, 13).double(), torch.rand(1, 9, 6, 39).double()
        torch.testing.assert_close(carafe(features, masks, 3, 1, 3), spelled_out(features, masks, 3, 1, 3))

    def empty_inputs(self):
        features, masks, *sizes = self.inputs()
        return [
            (features[:0], masks[:0], *sizes),
            (features[:, :0], masks, *sizes),
            (features[:, :, :0], masks[:, :, :0], *sizes),
        ]

    def wrong_inputs(self):
        features, masks, kernel, groups, scale = self.inputs()
        return [
            ((features[0], masks, kernel, groups, scale), "features"),
            ((features, masks[:, 1:], kernel, groups, scale), "masks"),
            ((features, masks, 4, groups, scale), "kernel_size"),
            ((features, masks, kernel, 3, scale), "group_size"),
            ((features, masks, kernel, groups, 0), "scale_factor"),
            ((features.to("meta"), masks, kernel, groups, scale), "one device"),
        ]

    def large_inputs(self):
        return torch.randn(2, 36, 20, 20), torch.rand(2, 9, 40, 40), 3, 1, 2
