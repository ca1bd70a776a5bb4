"""How an operator is made known to PyTorch: schema, plain version, shapes, gradient; kernels join it by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

NAMESPACE = "raydet"
LIBRARY: Any = torch.library.Library(NAMESPACE, "DEF")  # type: ignore[no-untyped-call]
OPERATORS: list[str] = []
"""Names of the defined operators, in order."""
_BUILT_ON: dict[str, str] = {}
_LENT_ON_CUDA: set[str] = set()


def define(
    schema: str,
    *,
    plain: Callable[..., Any],
    fake: Callable[..., Any],
    float32: bool = True,
    built_on: str | None = None,
    cuda: Callable[..., Any] | None = None,
) -> Any:
    """Define the operator `raydet::<name>`.

    The plain version serves every device for which no kernel has been registered: the compiled libraries register
    theirs under the same name.

    Args:
        schema: `name(Tensor input, ...) -> Tensor`, in PyTorch's schema language.
        plain: the operator in terms of PyTorch's own.
        fake: the same arguments to an empty result of the right shape, dtype and device.
        float32: compute in float32 under autocast.
        built_on: name of the operator whose kernel does the work, where `plain` itself calls one.
        cuda: torchvision's operator of the same arguments, where it is faster on CUDA than `plain` and our kernels.

    Returns:
        The callable operator, `torch.ops.raydet.<name>`.
    """
    name = schema.partition("(")[0]
    LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    LIBRARY.impl(name, plain, "CompositeExplicitAutograd")
    if cuda is not None:
        LIBRARY.impl(name, cuda, "CUDA")
        _LENT_ON_CUDA.add(name)
    qualified = f"{NAMESPACE}::{name}"
    torch.library.register_fake(qualified, fake, lib=LIBRARY)
    if float32:
        for device in ("cpu", "cuda"):
            torch.library.register_autocast(qualified, device, torch.float32, lib=LIBRARY)
    OPERATORS.append(name)
    if built_on is not None:
        _BUILT_ON[name] = built_on
    return getattr(getattr(torch.ops, NAMESPACE), name).default


def differentiate(
    operator: Any,
    backward: Callable[..., Any],
    saves: Sequence[str] = (),
    saves_output: bool = False,
) -> None:
    """Give an operator its gradient.

    Args:
        operator: what `define` returned.
        backward: `(tensors, numbers, grad...)` to one gradient (or None) per argument, where `tensors` are the saved
            ones by name, and `numbers` the other arguments by name.
        saves: names of the tensor arguments that the gradient needs.
        saves_output: also save the result, as `tensors["output"]`.
    """
    names = [argument.name for argument in operator._schema.arguments]

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        given = dict(zip(names, inputs, strict=True))
        kept = [given[name] for name in saves] + ([output] if saves_output else [])
        ctx.save_for_backward(*kept)
        ctx.numbers = {name: value for name, value in given.items() if not isinstance(value, Tensor)}

    def run(ctx: Any, *grads: Tensor) -> Any:
        labels = [*saves, "output"] if saves_output else saves
        return backward(dict(zip(labels, ctx.saved_tensors, strict=True)), ctx.numbers, *grads)

    torch.library.register_autograd(operator, run, setup_context=setup_context, lib=LIBRARY)


def plain_gradients(plain: Callable[..., Tensor], grad: Tensor, inputs: Sequence[Tensor], *rest: Any) -> list[Tensor]:
    """Gradients of `plain(*inputs, *rest)` in `inputs`: what a backward operator computes where it has no kernel."""
    with torch.enable_grad():
        leaves = [value.detach().requires_grad_() for value in inputs]
        return list(torch.autograd.grad(plain(*leaves, *rest), leaves, grad))


def serves(name: str, device: str) -> str:
    """What computes an operator on `cpu` or `cuda`: `cpp`, `cuda`, `torch` (the plain version) or `torchvision`."""
    if device == "cuda" and name in _LENT_ON_CUDA:
        return "torchvision"
    kernel = f"{NAMESPACE}::{_BUILT_ON.get(name, name)}"
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key(kernel, device.upper())
    return {"cpu": "cpp", "cuda": "cuda"}[device] if has_kernel else "torch"


def alert_not_deterministic(name: str, tensor: Tensor) -> None:
    """Say that a kernel adds in no fixed order, as `torch.use_deterministic_algorithms` asks of operators.

    Raises:
        RuntimeError: deterministic algorithms are demanded.
    """
    if tensor.is_cuda and torch.are_deterministic_algorithms_enabled() and serves(name, "cuda") == "cuda":
        message = f"raydet::{name} adds atomically on CUDA, in no fixed order; it has no deterministic version there"
        if not torch.is_deterministic_algorithms_warn_only_enabled():
            raise RuntimeError(f"{message}. Set torch.use_deterministic_algorithms(True, warn_only=True) to go on")
        warnings.warn(message, stacklevel=3)
