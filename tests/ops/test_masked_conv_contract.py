import pytest
import torch
import torch.nn.functional as F
from op_contract import OpContract
from raydet_ops import MaskedConv2d, masked_conv2d


def everywhere_then_masked(features, mask, weight, padding):
    return F.conv2d(features, weight, None, 1, padding) * (mask > 0)


class TestMaskedConv2dOperator(OpContract):
    operator = torch.ops.raydet.masked_conv2d.default
    differentiable = (0, 2)
    thread_tolerance = 1e-4  # a matrix product
    reference = staticmethod(everywhere_then_masked)

    @staticmethod
    def public(features, mask, weight, padding):
        return masked_conv2d(features, mask, weight, None, padding)

    def inputs(self, dtype=torch.float32):
        generator = torch.Generator().manual_seed(1)
        features = torch.randn(1, 3, 5, 4, generator=generator).to(dtype)
        mask = torch.rand(1, 5, 6, generator=generator) > 0.5
        return features, mask, torch.randn(2, 3, 3, 1, generator=generator).to(dtype), [1, 1]

    def empty_inputs(self):
        return [(torch.ones(1, 2, 4, 4), torch.zeros(1, 4, 4), torch.ones(3, 2, 3, 3), 1)]

    def odd_inputs(self):
        return [(torch.ones(1, 2, 4, 4), torch.full((1, 4, 4), float("nan")), torch.ones(3, 2, 3, 3), 1)]

    def wrong_inputs(self):
        features, mask, weight, padding = self.inputs()
        return [
            ((features.expand(2, -1, -1, -1), mask, weight, padding), "features"),
            ((features, mask[:, :4], weight, padding), "mask"),
            ((features, mask.to("meta"), weight, padding), "mask"),
            ((features, mask, weight[:, :2], padding), "weight"),
            ((features, mask, weight.long(), padding), "weight"),
            ((features, mask, weight, -1), "padding"),
        ]

    def large_inputs(self):
        return torch.randn(1, 32, 60, 60), torch.rand(1, 60, 60) - 0.7, torch.randn(8, 32, 3, 3), [1, 1]


def test_the_bias_stands_where_the_mask_does():
    conv, x, mask = MaskedConv2d(2, 3, 3, padding=1), torch.randn(1, 2, 5, 5), torch.rand(1, 5, 5) - 0.5
    torch.testing.assert_close(conv(x, mask), conv(x) * (mask > 0))


def test_a_module_refuses_a_mask_where_it_does_more_than_the_operator():
    with pytest.raises(ValueError, match="groups"):
        MaskedConv2d(2, 2, 3, groups=2)(torch.ones(1, 2, 5, 5), torch.ones(1, 3, 3))
    with pytest.raises(ValueError, match="stride"):
        MaskedConv2d(2, 2, 3, stride=2)(torch.ones(1, 2, 5, 5), torch.ones(1, 2, 2))
