"""Part of a real model in one process: some of its blocks, with or without embedding and head."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch
from torch import nn
from transformers import DynamicCache

from edgesim.errors import InputError
from edgesim.measure.places import MODULE_PATHS

__all__ = ["Part", "Tensor"]

Tensor = torch.Tensor

_FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gpt2")  # whose blocks need only hidden states


class _NoPositions(nn.Module):
    """Replaces a table of positions, which the process with the embedding has added already."""

    def forward(self, positions: Tensor) -> Tensor:
        return torch.zeros(1)


class Part:
    """A run of blocks of a transformers model, called by the model's own forward pass.

    Parameters
    ----------
    model
        A model of a supported family. It is modified and must not be used otherwise afterwards.
    family
        Its family.
    first, last
        The blocks from `first` up to and excluding `last`. A part with `first` 0 includes the embedding;
        every part can choose tokens.

    Attributes
    ----------
    is_first
        Whether it has the embedding.
    embedding_at_s, ready_at_s
        When the embedding and the first block began in the latest pass.
    """

    def __init__(self, model: Any, family: str, first: int, last: int) -> None:
        if family not in _FAMILIES:
            raise InputError(
                f"a model of the family '{family}' cannot be run in parts; expected one of "
                f"{', '.join(_FAMILIES)}"
            )
        places = MODULE_PATHS[family]
        self._base = model.get_submodule(places.blocks.rpartition(".")[0])
        self._config, self.is_first = model.config, first == 0
        blocks = list(model.get_submodule(places.blocks))[first:last]
        setattr(self._base, places.blocks.rpartition(".")[2], nn.ModuleList(blocks))
        for number, block in enumerate(blocks):  # the index of its keys and values in a cache
            (block.attn if family == "gpt2" else block.self_attn).layer_idx = number
        self._norm, self._unembedding = model.get_submodule(places.head), model.get_submodule(places.end)
        setattr(self._base, places.head.rpartition(".")[2], nn.Identity())
        self.embedding_at_s = self.ready_at_s = 0.0
        blocks[0].register_forward_pre_hook(self._note_ready)
        if self.is_first:
            model.get_submodule(places.embedding).register_forward_pre_hook(self._note_embedding)
        elif family == "gpt2":
            self._base.wpe = _NoPositions()
        self.hidden_size = int(self._config.hidden_size)

    def example(self, n_tokens: int, generator: torch.Generator) -> Tensor:
        """Draw a valid input of :meth:`run`."""
        if self.is_first:
            return torch.randint(self._config.vocab_size, (1, n_tokens), generator=generator)
        return torch.randn(1, n_tokens, self.hidden_size, generator=generator)

    def cache(self) -> DynamicCache:
        """Return an empty KV cache for its blocks."""
        return DynamicCache(config=self._config)

    def run(self, cache: DynamicCache, given: Tensor, n_context: int) -> Tensor:
        """Run one pass through its blocks, and return the hidden states.

        Parameters
        ----------
        cache
            KV cache of earlier tokens; extended by this pass.
        given
            Token ids ``[1, n]`` for a part with the embedding, else hidden states ``[1, n, hidden_size]``.
        n_context
            Tokens in the cache.
        """
        n_new = given.shape[1]
        positions = torch.arange(n_context, n_context + n_new)[None]
        named = {"input_ids" if self.is_first else "inputs_embeds": given}
        found = self._base(position_ids=positions, past_key_values=cache, use_cache=True, **named)
        states: Tensor = found.last_hidden_state
        return states

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits of the token after the last state, ``[1, vocabulary]``."""
        found: Tensor = self._unembedding(self._norm(states)[:, -1])
        return found

    def _note_ready(self, *_: object) -> None:
        self.ready_at_s = perf_counter()

    def _note_embedding(self, *_: object) -> None:
        self.embedding_at_s = perf_counter()
