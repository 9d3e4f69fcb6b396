"""Build real transformers modules: a model with few blocks, or with one shard of each block."""

from __future__ import annotations

import json
from typing import Any

import psutil
import torch
import transformers
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from edgesim.errors import InputError
from edgesim.measure.places import MODULE_PATHS
from edgesim.model.architecture import Architecture
from edgesim.model.parts import Slice
from edgesim.model.rotary_embedding import rotated_share
from edgesim.model.timed_config import TIMED_KEYS

__all__ = ["build", "shortened"]

_DRAWS = frozenset({"kaiming_uniform_", "normal_", "uniform_"})  # functions that initialise weights
_STRETCH = 2**20  # number of weights drawn
_DEVIATION = 0.02  # of the weights, as in nearly every family's config

_SHARD_VOCABULARY = 1024  # of a shard's excerpt, whose embedding and head are not timed


def build(architecture: Architecture, *, n_blocks: int, device: str) -> Any:
    """Build a model with random weights, in the architecture's number format, as transformers does.

    A decoder is built with its vocabulary matrix, an encoder with a classifier. A shard's blocks have the
    shard's share of the heads and of the MLP's width. They are blocks of transformers' own classes, built
    from a config with that share, or, where the family's config ties the heads to the hidden size, with the
    four projections of attention cut to the share.
    """
    auto: Any = AutoModelForCausalLM if architecture.is_causal else AutoModelForSequenceClassification
    if device == "cpu":
        _refuse_too_large(architecture, n_blocks)
    # Weights created in inference mode cannot use oneDNN's bfloat16 product (a head is 30 times slower in
    # torch 2.13), unlike those of real use. The caller's random state is left unchanged.
    try:
        with torch.inference_mode(False), torch.random.fork_rng(devices=[]), _RepeatedWeights():
            model = auto.from_config(
                _transformers_config(architecture, n_blocks), dtype=getattr(torch, architecture.dtype)
            )
            if architecture.n_shards > 1:
                _cut_heads(model, architecture)
            return model.to(device).eval()
    except Exception as error:  # for a user's config, libraries raise errors of any type
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"model {architecture.name}: transformers {transformers.__version__} cannot build it: {reason}; "
            "correct its config.json, or simulate it with 'profile: analytic'"
        ) from error


def _refuse_too_large(architecture: Architecture, n_blocks: int) -> None:
    """Refuse a model that does not fit in this machine's memory, before it is built."""
    ends = Slice(0, n_blocks, embedding=True, head=True)
    n_bytes, free_bytes = architecture.weight_bytes(ends), psutil.virtual_memory().available
    if n_bytes > free_bytes:
        raise InputError(
            f"model {architecture.name}: measuring it takes {n_bytes / 1e9:.3g} GB, for {n_blocks} of its "
            f"blocks, embedding and head, but {free_bytes / 1e9:.3g} GB are free here; measure it on a "
            "larger machine, or simulate it with 'profile: analytic' or a shipped profile"
        )


def shortened(architecture: Architecture, n_blocks: int) -> dict[str, Any]:
    """Return the config of a model with `n_blocks` blocks; for a shard, with its share of each block.

    It has the architecture's sizes and the keys that affect times. All other keys of a config (how to run it,
    which tokens are special, how far contexts stretch its rotation) do not affect a block's time.
    """
    traits = architecture.traits
    said: dict[str, Any] = json.loads(architecture.config)
    is_shard = architecture.n_shards > 1
    kept = TIMED_KEYS | traits.needs.keys() | traits.defaults.keys()
    config = {key: value for key, value in said.items() if key in kept and value is not None}
    has_own_heads = traits.has_own_head_dim or not is_shard  # else heads are cut after the model is built
    config |= traits.config(
        n_blocks=n_blocks,
        hidden_size=architecture.hidden_size,
        n_heads=architecture.n_heads * (1 if has_own_heads else architecture.n_shards),
        n_kv_heads=architecture.n_kv_heads,
        head_dim=architecture.head_dim,
        mlp_size=architecture.mlp_size,
        vocab_size=_SHARD_VOCABULARY if is_shard else architecture.vocab_size,
        max_context=(
            architecture.n_position_rows - traits.n_spare_positions
            if traits.has_positions
            else architecture.max_context
        ),
    )
    config |= {"bos_token_id": None, "eos_token_id": None, **_windows(architecture, n_blocks)}
    if not traits.positions_behind_padding or is_shard:
        config["pad_token_id"] = 0  # exists in any vocabulary
    if traits.is_causal:
        config["tie_word_embeddings"] = architecture.tied_embeddings
    else:
        config["num_labels"] = architecture.n_labels
    if (share := rotated_share(said)) < 1.0:
        config["partial_rotary_factor"] = share
    return config


def _windows(architecture: Architecture, n_blocks: int) -> dict[str, Any]:
    """Return config keys that give a sliding window to about the same share of blocks as in the model."""
    law, window = architecture.traits.window, architecture.window
    if law == "none":
        return {}
    found: dict[str, Any] = {}
    if window is not None:
        found |= {"sliding_window": window, "use_sliding_window": True, "max_window_layers": 0}
    elif law == "all":
        found["sliding_window"] = None
    if law != "all" or 0 < architecture.n_windowed < architecture.n_blocks:
        n_windowed = round(n_blocks * architecture.n_windowed / architecture.n_blocks)
        found["layer_types"] = ["sliding_attention"] * n_windowed
        found["layer_types"] += ["full_attention"] * (n_blocks - n_windowed)
    return found


def _transformers_config(architecture: Architecture, n_blocks: int) -> Any:
    """Return transformers' own config, with the model's number of heads.

    Its constructor requires that the heads divide the hidden size even where the head size is given
    separately, so the heads are then set afterwards.
    """
    traits, said = architecture.traits, shortened(architecture, n_blocks)
    made_of = CONFIG_MAPPING[architecture.family]
    heads = {traits.names_of(size)[0] for size in ("n_heads", "n_kv_heads")} & said.keys()
    if not traits.has_own_head_dim or architecture.hidden_size % architecture.n_heads == 0:
        return made_of.from_dict(said)
    config = made_of.from_dict(said | dict.fromkeys(heads, 1))
    for name in heads:
        setattr(config, name, said[name])
    return config


def _cut_heads(model: Any, architecture: Architecture) -> None:
    """Reduce attention to the shard's heads, where the config cannot express fewer."""
    places = MODULE_PATHS[architecture.family]
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
    """Keep the first `n_in` inputs or `n_out` outputs of a projection."""
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
    """Repeats one drawn stretch of weights in every large tensor, since drawing takes most of the time.

    The duration of a product depends on the sizes and places in memory of its factors, not on their values,
    as long as these are ordinary numbers. Modules are initialised twice, by torch and by transformers; a
    tensor already filled is left unchanged.
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
        # Reused memory of a deleted tensor already contains the same numbers.
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
