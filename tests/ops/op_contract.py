"""What every operator promises; a test class per operator subclasses `OpContract` and says how to call it."""

from __future__ import annotations

import pytest
import torch


def leaves(inputs, differentiable):
    return tuple(
        value.clone().requires_grad_() if i in differentiable else value.clone() if torch.is_tensor(value) else value
        for i, value in enumerate(inputs)
    )


def first(result):
    return result[0] if isinstance(result, tuple) else result


class OpContract:
    """Subclasses give the four attributes below and `inputs`; they may raise `half_tolerance` with a sentence why."""

    operator = None  # torch.ops.raydet.<name>.default, as a staticmethod where it is a plain function
    public = None  # the Python function of the same arguments, as staticmethod
    reference = None  # the same arguments, in float64, slow and obvious; as staticmethod
    differentiable: tuple[int, ...] = ()  # positions of the arguments that have a gradient
    half_tolerance = 2e-2  # inputs are rounded to 8 (bfloat16) or 11 bits before a computation in float32

    thread_tolerance = 0.0  # matrix products add in an order that depends on the number of threads; nothing else does

    def inputs(self, dtype=torch.float32):
        """Arguments at a typical, small size, with floating tensors of the given type."""
        raise NotImplementedError

    def empty_inputs(self):
        """Tuples of arguments without images, boxes or rows; each must give a result without elements or of zeros."""
        return []

    def odd_inputs(self):
        """Arguments with coordinates that are NaN, infinite or far outside; the result must be defined: no crash."""
        return []

    def wrong_inputs(self):
        """Pairs of arguments and a pattern that the message of the ValueError or TypeError must match."""
        return []

    def large_inputs(self):
        """Arguments large enough to be shared out over several threads; None where the operator never is."""
        return None

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_equals_the_reference(self, dtype):
        inputs = self.inputs(dtype)
        expected = first(self.reference(*(x.double() if is_floating(x) else x for x in inputs)))
        result = first(self.public(*inputs))
        tolerance = 1e-4 if dtype == torch.float32 else 1e-9
        torch.testing.assert_close(result.double(), expected.double(), rtol=tolerance, atol=tolerance)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_takes_half_precision(self, dtype):
        inputs = self.inputs(dtype)
        expected = first(self.reference(*(x.double() if is_floating(x) else x for x in inputs)))
        result = first(self.public(*inputs))
        torch.testing.assert_close(
            result.double(), expected.double(), rtol=self.half_tolerance, atol=self.half_tolerance
        )

    def test_gradient_in_float64(self):
        if not self.differentiable:
            pytest.skip("has no gradient")
        inputs = leaves(self.inputs(torch.float64), self.differentiable)
        assert torch.autograd.gradcheck(lambda *args: first(self.operator(*args)), inputs, nondet_tol=0.0)

    def test_keeps_the_rules_of_pytorch(self):
        inputs = leaves(self.inputs(torch.float32), self.differentiable)
        torch.library.opcheck(self.operator, inputs)

    def test_compiles_as_one_graph(self):
        inputs = self.inputs(torch.float32)
        compiled = torch.compile(self.public, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(first(compiled(*inputs)), first(self.public(*inputs)))

    def test_exports(self):
        inputs = self.inputs(torch.float32)

        class Module(torch.nn.Module):
            def forward(module, *args):  # noqa: N805
                return self.public(*args)

        program = torch.export.export(Module(), inputs)
        torch.testing.assert_close(first(program.module()(*inputs)), first(self.public(*inputs)))

    def test_takes_tensors_that_are_not_contiguous(self):
        inputs = self.inputs(torch.float32)
        strided = [
            x.transpose(0, -1).contiguous().transpose(0, -1) if torch.is_tensor(x) and x.ndim > 1 else x for x in inputs
        ]
        torch.testing.assert_close(first(self.public(*strided)), first(self.public(*inputs)))

    def test_of_nothing_is_nothing(self):
        for inputs in self.empty_inputs():
            result = first(self.public(*inputs))
            assert result.numel() == 0 or not result.any()

    def test_odd_coordinates_do_not_crash(self):
        for inputs in self.odd_inputs():
            first(self.public(*inputs))

    def test_wrong_arguments_are_named(self):
        for inputs, pattern in self.wrong_inputs():
            with pytest.raises((ValueError, TypeError), match=pattern):
                self.public(*inputs)

    def test_threads_do_not_change_the_result(self):
        inputs = self.large_inputs()
        if inputs is None:
            pytest.skip("always runs on one thread")
        threads = torch.get_num_threads()
        results = []
        try:
            for number in (1, 4):
                torch.set_num_threads(number)
                given = leaves(inputs, self.differentiable)
                result = first(self.operator(*given))
                if self.differentiable:
                    (result * torch.linspace(-1, 1, result.numel()).view_as(result)).sum().backward()
                results.append([result.detach(), *(given[i].grad for i in self.differentiable)])
        finally:
            torch.set_num_threads(threads)
        for one, many in zip(*results, strict=True):
            torch.testing.assert_close(one, many, rtol=self.thread_tolerance, atol=self.thread_tolerance)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
    def test_gpu_gives_what_the_cpu_gives(self, dtype):
        results = []
        for device in ("cpu", "cuda"):
            given = leaves(on(device, self.inputs(dtype)), self.differentiable)
            result = first(self.public(*given))
            if self.differentiable:
                weight = torch.linspace(-1, 1, result.numel(), dtype=torch.float64).view_as(result)
                (result * weight.to(result)).sum().backward()
            results.append([result.detach().cpu(), *(given[i].grad.cpu() for i in self.differentiable)])
        tolerance = {torch.float32: 1e-4, torch.float64: 1e-9}.get(dtype, self.half_tolerance)
        for cpu, gpu in zip(*results, strict=True):
            torch.testing.assert_close(gpu, cpu, rtol=tolerance, atol=tolerance)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_gpu_keeps_the_rules_and_stands_odd_inputs(self):
        torch.library.opcheck(self.operator, leaves(on("cuda", self.inputs(torch.float32)), self.differentiable))
        for inputs in [*self.odd_inputs(), *self.empty_inputs()]:
            first(self.public(*on("cuda", inputs)))
        torch.cuda.synchronize()


def on(device, inputs):
    return tuple(value.to(device) if torch.is_tensor(value) else value for value in inputs)


def is_floating(value):
    return torch.is_tensor(value) and value.is_floating_point()
