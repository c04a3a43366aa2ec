r"""Training on several processes with the gradients of one; knows no loss and no network.

Each process holds a share of the batch. `gather` joins the shares into rows of the whole batch,
and its backward pass returns to each process the sum over all processes of the gradient of its
share. So `backward` gives the gradient of the *sum* of the processes' losses, and
`average_gradients` turns it into that of their *mean*: equal to one process with the whole batch
whenever the mean of the losses is the loss of the batch, which holds both for a loss that every
process computes on gathered rows and for an average over rows of its own. What else looks
across a batch must gather too: batch norm (`share_batch_norm`), queues and centres.

With one process every function here does nothing, so the training loop has one path.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def process_group(device: str = "cpu") -> Iterator[str]:
    """Join the processes that `torchrun` started, for the duration of the block.

    Args:
        device: `cpu` (gloo) or `cuda` (NCCL).

    Yields:
        The device of this process: with `cuda` one for each process of a machine.
    """
    if not distributed.is_available() or not distributed.is_torchelastic_launched():
        yield device
        return
    if device.startswith("cuda"):
        device = f"cuda:{distributed.get_node_local_rank()}"
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def started() -> int:
    """Number of processes that `torchrun` started, in a `process_group` or not; 1 without it."""
    alone = not distributed.is_available() or not distributed.is_torchelastic_launched()
    return 1 if alone else int(os.environ["WORLD_SIZE"])


def world_size() -> int:
    """Number of processes that train together; 1 outside `process_group`."""
    running = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if running else 1


def rank() -> int:
    """Number of this process, from 0; process 0 writes checkpoints and logs."""
    return distributed.get_rank() if world_size() > 1 else 0


def wait_for_all() -> None:
    """Return when every process has come here."""
    if world_size() > 1:
        distributed.barrier()


def share(rows: Tensor) -> Tensor:
    """This process's part of a batch that all of them drew alike: `(n, ...)` to `(n/p, ...)`.

    `gather` of the shares is the batch again, in its order.

    Raises:
        ValueError: the processes do not divide the batch evenly.
    """
    processes = world_size()
    if len(rows) % processes:
        raise ValueError(
            f"{len(rows)} rows cannot be shared evenly by {processes} processes: "
            "choose a batch that is a multiple of their number"
        )
    return rows.chunk(processes)[rank()]


def gather(rows: Tensor) -> Tensor:
    """Rows of all processes, in the order of their ranks: `(n, ...)` to `(n * p, ...)`.

    Differentiable, any number of times. Every process must call it equally often, with equally
    shaped rows.
    """
    if world_size() == 1:
        return rows
    joined: Tensor = _Gather.apply(rows)
    return joined


@torch.no_grad()
def average(values: Tensor) -> Tensor:
    """Mean over processes of equally shaped values, without gradient: a centre, a metric."""
    if world_size() == 1:
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total / world_size()


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over processes; call between `backward` and `step`.

    All processes must have run the same graph, so that the same parameters have gradients.
    """
    if world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    for dtype in dict.fromkeys(gradient.dtype for gradient in gradients):
        alike = [gradient for gradient in gradients if gradient.dtype == dtype]
        # One message for all: on a network its count costs more than its length.
        flat = average(torch.cat([gradient.flatten() for gradient in alike]))
        parts = torch.split(flat, [gradient.numel() for gradient in alike])
        for gradient, part in zip(alike, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


class SharedBatchNorm(_BatchNorm):
    """Batch norm by the statistics of all processes' rows; on CPU too, unlike SyncBatchNorm.

    Same parameters, buffers and state as the layer it replaces (`share_batch_norm`), for inputs
    `(n, c)` or `(n, c, ...)`.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  (its name in torch)
        if input.dim() < 2:
            raise ValueError(f"rows of channels needed, got {input.dim()} dimensions")

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalise over all dimensions but the channels, and over all processes."""
        if not self.training or world_size() == 1:
            return super().forward(input)
        self._check_input_dim(input)
        over = [0, *range(2, input.dim())]
        wide = input.to(torch.promote_types(input.dtype, torch.float32))  # half cannot add up
        variance, mean = torch.var_mean(wide, dim=over, correction=0)
        # One message with both; the variance of the means joins the mean of the variances.
        means, variances = gather(torch.stack([mean, variance])[None]).unbind(dim=1)
        mean = means.mean(dim=0)
        variance = variances.mean(dim=0) + means.var(dim=0, correction=0)
        self._follow(mean, variance, count=input.numel() // input.shape[1] * world_size())
        scale = (variance + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale
        if self.bias is not None:
            shift = shift + self.bias
        shape = [1, -1, *[1] * (input.dim() - 2)]
        return (wide * scale.view(shape) + shift.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, *, count: int) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        momentum = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1 / float(self.num_batches_tracked)
        share_of_new = 0.0 if momentum is None else momentum
        self.running_mean.lerp_(mean, share_of_new)
        self.running_var.lerp_(variance * count / max(1, count - 1), share_of_new)


def share_batch_norm(module: nn.Module) -> None:
    """Turn every batch norm inside `module` into a `SharedBatchNorm`, with its very parameters.

    Call it before or after an optimiser is made; nothing happens with one process.
    """
    if world_size() == 1:
        return
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, SharedBatchNorm):
                setattr(parent, name, _shared(child))


def _shared(norm: _BatchNorm) -> SharedBatchNorm:
    shared = SharedBatchNorm(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    shared.weight, shared.bias = norm.weight, norm.bias
    shared.running_mean, shared.running_var = norm.running_mean, norm.running_var
    shared.num_batches_tracked = norm.num_batches_tracked
    return shared.train(norm.training)


class _Gather(torch.autograd.Function):
    """Every process receives the rows of all; adjoint of `_Scatter`."""

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor) -> Tensor:
        del ctx
        rows = rows.contiguous()
        parts = [torch.empty_like(rows) for _ in range(world_size())]
        distributed.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Any:
        del ctx
        return _Scatter.apply(gradients[0])


class _Scatter(torch.autograd.Function):
    """Every process receives its share of the sum over all; adjoint of `_Gather`."""

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor) -> Tensor:
        del ctx
        total = rows.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return share(total)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Any:
        del ctx
        return _Gather.apply(gradients[0])
