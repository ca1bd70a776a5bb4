import torch
from op_contract import OpContract
from raydet_ops import TINShift, tin_shift


def frame_by_frame(input, shift, direction):
    result = torch.zeros_like(input)
    per_group = input.shape[2] // shift.shape[1]
    for n in range(len(input)):
        for t in range(input.shape[1]):
            for c in range(input.shape[2]):
                to = t + direction * shift[n, c // per_group]
                if 0 <= to < input.shape[1]:
                    result[n, to, c] = input[n, t, c]
    return result


class TestTinShiftOperator(OpContract):
    operator = torch.ops.raydet.tin_shift.default
    differentiable = (0,)
    reference = staticmethod(frame_by_frame)

    @staticmethod
    def public(input, shift, direction):
        return tin_shift(input, shift * direction)

    def inputs(self, dtype=torch.float32):
        input = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
        return input, torch.tensor([[1, 0, -2], [-1, 5, 3]]), -1

    def empty_inputs(self):
        shift = torch.zeros(0, 2, dtype=torch.long)
        return [(torch.zeros(0, 4, 6, 5), shift, 1), (torch.zeros(2, 0, 6, 5), torch.ones(2, 3, dtype=torch.long), 1)]

    def odd_inputs(self):
        return [(torch.ones(1, 2, 2, 3), torch.tensor([[2**62, -(2**63)]]), 1)]

    def wrong_inputs(self):
        input, shift, direction = self.inputs()
        return [
            ((input[0], shift, direction), "input"),
            ((input, shift[:1], direction), "shift"),
            ((input, shift.repeat(1, 3), direction), "shift"),
            ((input, shift.float(), direction), "shift"),
            ((input.to("meta"), shift, direction), "input"),
            ((input.long(), shift, direction), "input"),
        ]

    def large_inputs(self):
        return torch.randn(2, 8, 32, 400), torch.randint(-3, 4, (2, 8)), 1


def test_the_module_is_the_function():
    input, shift, _ = TestTinShiftOperator().inputs()
    assert torch.equal(TINShift()(input, shift), frame_by_frame(input, shift, 1))
