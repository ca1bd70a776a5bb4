import torch
from op_contract import OpContract
from raydet_ops import sigmoid_focal_loss


def spelled_out(input, target, gamma, alpha):
    """The formula of arXiv:1708.02002, element by element."""
    hit = input.sigmoid()
    positive = target[:, None] == torch.arange(input.shape[1])
    miss = torch.where(positive, 1 - hit, hit)
    return -torch.where(positive, alpha, 1 - alpha) * miss**gamma * torch.log(1 - miss)


class TestSigmoidFocalLoss(OpContract):
    operator = torch.ops.raydet.sigmoid_focal_loss.default
    differentiable = (0,)

    @staticmethod
    def public(input, target, gamma, alpha):
        return sigmoid_focal_loss(input, target, gamma, alpha, reduction="none")

    reference = staticmethod(spelled_out)

    def inputs(self, dtype=torch.float32):
        logits = torch.linspace(-3, 3, 35).view(7, 5).to(dtype)
        return logits, torch.tensor([0, 4, 5, -1, 2, 3, 3]), 2.0, 0.25

    def empty_inputs(self):
        return [(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long), 2.0, 0.25)]

    def odd_inputs(self):
        return [(torch.tensor([[float("nan"), float("inf"), -float("inf")]]), torch.tensor([9]), 2.0, 0.25)]

    def wrong_inputs(self):
        return [((torch.zeros(3), torch.zeros(3, dtype=torch.long), 2.0, 0.25), "logits")]

    def large_inputs(self):
        return torch.randn(4000, 80), torch.randint(0, 81, (4000,)), 1.5, 0.25
