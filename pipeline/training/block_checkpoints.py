"""Blocks of a backbone that keep no features for the backward pass and are computed a second time instead."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpoint_blocks(backbone: nn.Module) -> None:
    """Let each block of a backbone compute its features again in the backward pass; it is changed in place.

    A block is what a sequence of layers is made of, at the outermost level: a residual block, a block of a transformer, a stage.
    Gradients are the same; running statistics of normalization move once, in the first pass.

    Reference:
        Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016.
    """
    for block in list(_blocks(backbone)):
        forward = block.forward
        block.forward = partial(checkpoint, forward, use_reentrant=False, context_fn=partial(_contexts, block))


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the blocks below a module."""
    for child in module.children():
        if isinstance(child, nn.Sequential | nn.ModuleList) and len(child) > 1:
            yield from (block for block in child.children() if any(True for _ in block.parameters()))
        else:
            yield from _blocks(child)


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    return nullcontext(), _unmoved(block)


@contextmanager
def _unmoved(block: nn.Module) -> Iterator[None]:
    """Keep the running statistics of a block as they are."""
    layers = [layer for layer in block.modules() if isinstance(layer, _BatchNorm)]
    kept = [(layer.momentum, layer.num_batches_tracked) for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
        if layer.num_batches_tracked is not None:
            layer.num_batches_tracked = layer.num_batches_tracked.clone()
    try:
        yield
    finally:
        for layer, (momentum, counter) in zip(layers, kept, strict=True):
            layer.momentum, layer.num_batches_tracked = momentum, counter
