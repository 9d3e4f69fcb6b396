"""Identical whole models for all worker processes, and cutting them to a member's shard."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from edgesim.errors import InputError
from edgesim.measure.language_model import load_language_model
from edgesim.measure.modules import build
from edgesim.measure.places import MODULE_PATHS
from edgesim.model.architecture import Architecture

__all__ = ["cut_to_shard", "trained_model", "untrained_model"]

_GAIN = 1.5  # of a product with normalised states; choices of tokens then depend on the whole context


def trained_model(name: str) -> Any:
    """Load a language model's own weights, in float32, with the end-of-text token disabled."""
    model = load_language_model(name).model
    model.generation_config.eos_token_id = None
    return model


def untrained_model(architecture: Architecture, seed: int) -> Any:
    """Build a model with individually drawn weights, the same in any process of this machine.

    (A model built only for timing repeats one stretch of draws, so that some tokens' embeddings are equal
    and greedy choices between them are ties.)
    """
    model = build(architecture, n_blocks=architecture.n_blocks, device="cpu")
    generator = torch.Generator().manual_seed(seed)
    deviation = _GAIN / architecture.hidden_size**0.5
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0.0, deviation, generator=generator)
    return model


def cut_to_shard(model: Any, architecture: Architecture, rank: int, n_shards: int) -> None:
    """Reduce every block to one member's shard: whole heads, and columns of the MLP (Megatron-LM).

    Projections into heads and into the MLP are cut by their outputs, those back to the hidden size by their
    inputs; the sum of the latter's results over the members is the whole block's. Only the first member keeps
    their bias, so that it is added once.

    Raises
    ------
    InputError
        If the blocks cannot be cut into `n_shards`, or KV heads would have to be duplicated.
    """
    architecture.shard(n_shards)
    if architecture.n_kv_heads % n_shards:
        raise InputError(
            f"model {architecture.name}: {n_shards} members for {architecture.n_kv_heads} KV heads; expected "
            "a divisor, since KV heads are not duplicated here"
        )
    places = MODULE_PATHS[architecture.family]
    back = set(places.summed)
    for block in model.get_submodule(places.blocks).children():
        for path, module in block.named_modules():
            # Projections of transformers' models: torch's Linear, or GPT-2's transposed one.
            if isinstance(module, nn.Linear):
                n_parts = 1
            elif type(module).__name__ == "Conv1D":
                n_parts = 3 if path == "attn.c_attn" else 1  # queries, keys and values side by side
            else:
                continue
            _cut(module, rank, n_shards, by_inputs=path in back, n_parts=n_parts)
        if places.attention is not None:
            holder = block.get_submodule(places.attention.holder)
            for name in filter(None, (places.attention.n_heads, places.attention.width)):
                setattr(holder, name, getattr(holder, name) // n_shards)


def _cut(module: Any, rank: int, n_shards: int, *, by_inputs: bool, n_parts: int) -> None:
    is_linear = isinstance(module, nn.Linear)
    weight = module.weight.detach()
    axis = int(by_inputs) if is_linear else int(not by_inputs)
    kept = torch.cat([part.chunk(n_shards, axis)[rank] for part in weight.chunk(n_parts, axis)], axis)
    module.weight = nn.Parameter(kept.contiguous(), requires_grad=False)
    if is_linear:
        module.out_features, module.in_features = kept.shape
    else:
        module.nx, module.nf = kept.shape
    if module.bias is None:
        return
    bias = module.bias.detach()
    if not by_inputs:
        bias = torch.cat([part.chunk(n_shards)[rank] for part in bias.chunk(n_parts)])
    elif rank:
        bias = torch.zeros_like(bias)
    module.bias = nn.Parameter(bias.contiguous(), requires_grad=False)
