"""float32 products on the processor, by oneDNN: torch takes MKL for them, which is half as fast where the processor is
AMD's. A step of training is little else.
"""

from __future__ import annotations

from typing import Any

import torch


def _product(x: Any, weight: Any, bias: Any = None) -> Any:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Product(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
    """x W' + b, and its gradients by the same routine."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any) -> Any:
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        x, weight = ctx.saved_tensors
        of_x = of_weight = of_bias = None
        rows = gradient.reshape(-1, gradient.shape[-1])
        if ctx.needs_input_grad[0]:
            of_x = _product(gradient, weight.t())
        if ctx.needs_input_grad[1]:
            of_weight = _product(rows.t(), x.reshape(-1, x.shape[-1]).t())
        if ctx.biased and ctx.needs_input_grad[2]:
            of_bias = rows.sum(0)
        return of_x, of_weight, of_bias


class _Linear(torch.nn.Linear):  # type: ignore[misc,unused-ignore]
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.dtype != torch.float32 or self.weight.dtype != torch.float32 or input.device.type != "cpu":
            return super().forward(input)
        if torch.is_autocast_enabled("cpu"):  # torch itself sends bfloat16 to oneDNN
            return super().forward(input)
        result: torch.Tensor = _Product.apply(input, self.weight, self.bias)
        return result


def speed_up(model: Any) -> None:
    """Have a model's linear layers use it, where it is to be trained on the processor in float32."""
    if torch.cuda.is_available() or not torch.backends.mkldnn.is_available():
        return
    try:
        _product(torch.ones(1, 1), torch.ones(1, 1))
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return  # the operator is not part of torch's public interface
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.__class__ = _Linear
