"""Building real transformers modules: a model with few blocks, or with one shard of each block."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from edgesim.measure.places import PLACES
from edgesim.model.architecture import Architecture

__all__ = ["build", "shortened"]

_DRAWS = frozenset({"kaiming_uniform_", "normal_", "uniform_"})  # by which modules are given their weights
_STRETCH = 2**20  # weights that are drawn
_DEVIATION = 0.02  # of the weights, as in nearly every family's config

_SHARD_VOCABULARY = 1024  # of a shard's excerpt, whose embedding and head nobody times


def build(architecture: Architecture, *, n_blocks: int, device: str) -> Any:
    """Build a model with random weights, in the architecture's number format, as transformers does.

    A decoder is built with its vocabulary matrix, an encoder with a classifier. Of a shard, the blocks have
    that share of the heads and of the MLP's width; they are blocks of transformers' own classes, built from
    a config that says so, or, where the family's config ties the heads to the hidden size, with the four
    projections of attention cut to the share.
    """
    config = CONFIG_MAPPING[architecture.family].from_dict(shortened(architecture, n_blocks))
    auto: Any = AutoModelForCausalLM if architecture.is_causal else AutoModelForSequenceClassification
    # Weights born in inference mode are kept from oneDNN's bfloat16 product (a head 30 times slower in
    # torch 2.13), which no user's are; and the caller's random numbers are left alone.
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]), _RepeatedWeights():
        model = auto.from_config(config, dtype=getattr(torch, architecture.dtype))
        if architecture.n_shards > 1:
            _cut_heads(model, architecture)
        return model.to(device).eval()


def shortened(architecture: Architecture, n_blocks: int) -> dict[str, Any]:
    """Return the config of a model with so many blocks; of a shard, with what it holds of each."""
    traits = architecture.traits
    config: dict[str, Any] = json.loads(architecture.config)
    sizes = {"n_blocks": n_blocks}
    if architecture.n_shards > 1:
        sizes |= {"mlp_size": architecture.mlp_size, "vocab_size": _SHARD_VOCABULARY}
        config |= {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}  # in any vocabulary
        _simplify_rotation(config)
        if traits.has_own_head_dim:
            sizes |= {"n_heads": architecture.n_heads, "head_dim": architecture.head_dim}
        if traits.has_kv_heads:
            sizes |= {"n_kv_heads": architecture.n_kv_heads}
    for size, value in sizes.items():
        own_name, *other_names = traits.names_of(size)
        for name in other_names:
            config.pop(name, None)
        config[own_name] = value
    if "layer_types" in config or 0 < architecture.n_windowed < architecture.n_blocks:
        n_windowed = round(n_blocks * architecture.n_windowed / architecture.n_blocks)
        config["layer_types"] = ["sliding_attention"] * n_windowed
        config["layer_types"] += ["full_attention"] * (n_blocks - n_windowed)
    return config


def _simplify_rotation(config: dict[str, Any]) -> None:
    """Forget how long contexts stretch the rotary embedding: its angles are no part of a block's time.

    Some configs list a factor for each angle, and check the list against heads that a shard has fewer of.
    """
    config.pop("rope_scaling", None)
    stretched = config.get("rope_parameters")
    if isinstance(stretched, dict) and "rope_type" in stretched:
        kept = {key: stretched[key] for key in ("rope_theta", "partial_rotary_factor") if key in stretched}
        config["rope_parameters"] = kept | {"rope_type": "default"}


def _cut_heads(model: Any, architecture: Architecture) -> None:
    """Leave the shard's heads, where the config could not ask for fewer."""
    places = PLACES[architecture.family]
    attention = places.attention
    if attention is None:
        return
    width = architecture.n_heads * architecture.head_dim
    for block in model.get_submodule(places.blocks).children():
        for path in attention.into:
            _cut(block.get_submodule(path), n_out=width * 3 // len(attention.into))
        _cut(block.get_submodule(places.summed[0]), n_in=width)
        holder = block.get_submodule(attention.holder)
        setattr(holder, attention.n_heads, architecture.n_heads)
        if attention.width is not None:
            setattr(holder, attention.width, width)


def _cut(module: Any, *, n_in: int | None = None, n_out: int | None = None) -> None:
    """Keep so many of a projection's inputs or outputs."""
    weight = module.weight.detach()
    if isinstance(module, nn.Linear):
        kept = weight[:n_out, :n_in]
        module.out_features, module.in_features = kept.shape
    else:  # GPT-2's Conv1D: the same, transposed
        kept = weight[:n_in, :n_out]
        module.nx, module.nf = kept.shape
    module.weight = nn.Parameter(kept.clone())
    if n_out is not None and module.bias is not None:
        module.bias = nn.Parameter(module.bias.detach()[:n_out].clone())


class _RepeatedWeights(TorchFunctionMode):
    """Draws one stretch of weights, and repeats it in every large tensor: drawing takes most of the time.

    What a product takes depends on its factors' sizes and places in memory, not on their values, as long as
    these are ordinary numbers. Modules are given weights twice, by torch and by transformers; what has been
    filled is left as it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stretches: dict[tuple[torch.dtype, torch.device], torch.Tensor] = {}
        self._filled: set[tuple[int, int, torch.dtype]] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensor: Any = args[0] if args else kwargs.get("tensor")
        is_draw = getattr(func, "__name__", "") in _DRAWS and isinstance(tensor, torch.Tensor)
        if not is_draw or tensor.numel() <= _STRETCH or tensor.is_meta:
            return func(*args, **kwargs)
        # Where memory of a tensor that is gone is used again, it holds the same numbers.
        place = (tensor.data_ptr(), tensor.numel(), tensor.dtype)
        if place not in self._filled:
            self._filled.add(place)
            stretch = self._stretch(tensor)
            for part in tensor.detach().view(-1).split(_STRETCH):
                part.copy_(stretch[: len(part)])
        return tensor

    def _stretch(self, like: torch.Tensor) -> torch.Tensor:
        kind = (like.dtype, like.device)
        if kind not in self._stretches:
            stretch = torch.empty(_STRETCH, dtype=like.dtype, device=like.device)
            self._stretches[kind] = stretch.normal_(0.0, _DEVIATION)
        return self._stretches[kind]
