import torch
from op_contract import OpContract
from raydet_ops import sigmoid_focal_loss, softmax_focal_loss

LOGITS = torch.linspace(-3, 3, 35).view(7, 5)
CLASSES = torch.tensor([0, 4, 5, -1, 2, 3, 3])


def spelled_out(input, target, weight, gamma, alpha):
    """The formula of arXiv:1708.02002, element by element."""
    hit = input.sigmoid()
    positive = target[:, None] == torch.arange(input.shape[1])
    miss = torch.where(positive, 1 - hit, hit)
    loss = -torch.where(positive, alpha, 1 - alpha) * miss**gamma * torch.log(1 - miss)
    return loss if weight is None else loss * weight[target][:, None]


def softmax_spelled_out(input, target, weight, gamma, alpha):
    """The same of the probability of each row's class."""
    loss = input.new_zeros(len(input))
    for i, label in enumerate(target.tolist()):
        if 0 <= label < input.shape[1]:
            hit = (input[i].exp() / input[i].exp().sum())[label]
            loss[i] = -alpha * (1 - hit) ** gamma * hit.log() * (1 if weight is None else weight[label])
    return loss


class FocalContract(OpContract):
    """The public functions take weights of classes, the operators those of rows: None where both are called."""

    differentiable = (0,)

    def inputs(self, dtype=torch.float32):
        return LOGITS.flip(1).to(dtype), CLASSES, None, 2.0, 0.25

    def empty_inputs(self):
        return [
            (torch.zeros(0, 5), torch.zeros(0, dtype=torch.long), None, 2.0, 0.25),
            (torch.zeros(3, 0), torch.zeros(3, dtype=torch.long), None, 2.0, 0.25),
        ]

    def odd_inputs(self):
        logits = torch.tensor([[float("nan"), float("inf"), -float("inf")]])
        return [(logits, torch.tensor([label]), None, 2.0, 0.25) for label in (0, 9)]

    def wrong_inputs(self):
        return [((torch.zeros(3), torch.zeros(3, dtype=torch.long), None, 2.0, 0.25), "logits")]

    def large_inputs(self):
        return torch.randn(4000, 80), torch.randint(0, 81, (4000,)), torch.rand(4000), 1.5, 0.25

    def test_gradient_with_weights(self):
        logits, weight = LOGITS.double().requires_grad_(), torch.linspace(0, 2, 7).double()
        assert torch.autograd.gradcheck(lambda x: self.operator(x, CLASSES, weight, 1.5, 0.4), (logits,))

    def test_weights_of_classes(self):
        weight, known = torch.linspace(0.5, 2, 5), CLASSES.clamp(0, 4)
        result = self.public(LOGITS, known, weight, 2.0, 0.25)
        torch.testing.assert_close(result, self.reference(LOGITS, known, weight, 2.0, 0.25))


class TestSigmoidFocalLoss(FocalContract):
    operator = torch.ops.raydet.sigmoid_focal_loss.default
    reference = staticmethod(spelled_out)

    @staticmethod
    def public(input, target, weight, gamma, alpha):
        return sigmoid_focal_loss(input, target, gamma, alpha, weight, reduction="none")


class TestSoftmaxFocalLoss(FocalContract):
    operator = torch.ops.raydet.softmax_focal_loss.default
    reference = staticmethod(softmax_spelled_out)

    @staticmethod
    def public(input, target, weight, gamma, alpha):
        return softmax_focal_loss(input, target, gamma, alpha, weight, reduction="none")
